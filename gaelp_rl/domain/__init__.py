"""The contract between a market and a policy: reports in, plan out."""
