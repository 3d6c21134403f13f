"""A GA4 export made from a simulated market: real schema, published marginals, counted dirt, known truth."""
