//! What needs no database: the configuration, the models, the names.

use super::config::Config;
use super::model::Model;
use super::settings::by_name;
use std::path::PathBuf;

fn parse(text: &str) -> Result<Config, String> {
    let env = |name: &str| (name == "DATABASE_URL").then(|| "postgresql://vestige:pw@db:5432/vestige".to_owned());
    Config::parse(PathBuf::from("vestige.toml"), text, env)
}

#[test]
fn a_placeholder_is_read_from_the_environment() {
    let config = parse("[storage]\nbackend = \"postgres\"\n[storage.postgres]\nurl = \"${DATABASE_URL}\"\n").unwrap();
    assert_eq!(config.url, "postgresql://vestige:pw@db:5432/vestige");
    assert_eq!((config.max_connections, config.language.as_str()), (10, "english"));
    assert_eq!(config.model, Model { name: "nomic-embed-text-v1.5".to_owned(), dimension: 768 });
    assert!(config.print().contains("postgresql://vestige:***@db:5432/vestige"), "{}", config.print());
}

#[test]
fn a_bad_file_says_what_is_wrong_with_it() {
    for (text, part) in [
        ("[storage\n", "is not valid TOML"),
        ("", "storage.backend is \"sqlite\""),
        ("[storage]\nbackend = \"postgres\"\n", "storage.postgres.url is missing"),
        ("[storage]\nbackend = \"postgres\"\n[storage.postgres]\nurl = \"${NO}\"\n", "variable NO is not set"),
        (
            "[storage]\nbackend = \"postgres\"\n[storage.postgres]\nurl = \"u\"\nmax_connections = 0\n",
            "must be a number from 1",
        ),
    ] {
        let why = parse(text).err().unwrap();
        assert!(why.contains(part), "{why}");
    }
}

#[test]
fn vectors_have_the_dimension_of_the_model_and_depend_on_the_text() {
    let model = Model::named("stand-in-8").unwrap();
    assert_eq!(model.embed("a").split(',').count(), 8);
    assert_eq!(model.embed("a"), model.embed("a"));
    assert_ne!(model.embed("a"), model.embed("b"));
    assert_eq!(Model::named("bge-m3").unwrap().embed("a").split(',').count(), 1024);
    assert!(Model::named("gpt").is_err());
}

#[test]
fn linked_under_another_name_it_is_that_program() {
    let said = by_name(["/a/vestige-mcp", "--check-config"].map(Into::into));
    assert_eq!(said, ["/a/vestige-mcp", "vestige-mcp", "--check-config"].map(std::ffi::OsString::from));
    let said = by_name(["/a/simulator", "stemedb"].map(Into::into));
    assert_eq!(said, ["/a/simulator", "stemedb"].map(std::ffi::OsString::from));
}
