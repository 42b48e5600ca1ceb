"""The yardstick: fixed recordings with known rates, run through the deployed chain, by which weights are compared."""
