"""Classical controllers: pure functions of reports, comparators and fallback of the learned policy."""
