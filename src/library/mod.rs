//! A folder of runbooks with its `runwright.yaml`. Rank 3.
