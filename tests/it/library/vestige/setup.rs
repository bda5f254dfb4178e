//! From nothing to the first connection, and a pool that is large enough.

use crate::support::Cluster;

#[test]
fn there_is_a_server_with_vectors() {
    let cluster = Cluster::vector();
    let database = cluster.database();
    database.execute("create extension vector; create extension pgcrypto");
    assert_eq!(database.value("select '[1,2]'::vector(2) <-> '[1,3]'"), "1");
    assert_eq!(database.value("show server_version_num"), "160002");
}
