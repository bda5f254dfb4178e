//! Prompts on the terminal: gates, decisions, questions. Rank 8.
