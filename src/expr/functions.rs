//! Functions and filters beyond minijinja's own: `jq`, `metric`, `matches`, `lines`, `json`, `yaml`, `toml`,
//! `duration`, `seconds`, `bytes`, `percentile`, `age`, `last`.
