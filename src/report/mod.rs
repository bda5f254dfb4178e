//! What a person reads: live screen, `show`, `list`, plans, as text, Markdown and JSON. Rank 8.
