-- Everything is lost with this.
DROP TABLE embedding_model, review_events, domains, edges, scheduling, knowledge_nodes, group_memberships, groups, users;
