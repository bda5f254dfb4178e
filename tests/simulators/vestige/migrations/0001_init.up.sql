-- Tables and the indexes that are not about vectors.
CREATE EXTENSION IF NOT EXISTS vector;
CREATE EXTENSION IF NOT EXISTS pgcrypto;

CREATE TABLE users (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL UNIQUE
);
CREATE TABLE groups (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL UNIQUE
);
CREATE TABLE group_memberships (
    group_id uuid NOT NULL REFERENCES groups ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    PRIMARY KEY (group_id, user_id)
);
CREATE TABLE knowledge_nodes (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    content text NOT NULL,
    embedding vector(768),
    node_type text NOT NULL DEFAULT 'fact',
    owner_user_id uuid REFERENCES users,
    visibility text NOT NULL DEFAULT 'private',
    shared_with_groups uuid[] NOT NULL DEFAULT '{}',
    codebase text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_knowledge_nodes_created_at ON knowledge_nodes (created_at);
CREATE TABLE scheduling (
    node_id uuid PRIMARY KEY REFERENCES knowledge_nodes ON DELETE CASCADE,
    stability double precision NOT NULL DEFAULT 1,
    difficulty double precision NOT NULL DEFAULT 5,
    due timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE edges (
    source_id uuid NOT NULL REFERENCES knowledge_nodes ON DELETE CASCADE,
    target_id uuid NOT NULL REFERENCES knowledge_nodes ON DELETE CASCADE,
    weight double precision NOT NULL DEFAULT 0.5,
    PRIMARY KEY (source_id, target_id)
);
CREATE TABLE domains (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    label text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE review_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    node_id uuid NOT NULL REFERENCES knowledge_nodes ON DELETE CASCADE,
    rating smallint NOT NULL,
    reviewed_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE embedding_model (
    id smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    name text NOT NULL,
    dimension integer NOT NULL,
    hash text NOT NULL
);
