"""Response models fitted to an account's own reports: what a market sells, costs and converts."""
