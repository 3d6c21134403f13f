"""An advertiser's own history: GA4's export and platform reports, as facts, transitions and a first policy."""
