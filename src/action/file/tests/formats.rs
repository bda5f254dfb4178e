use super::super::datum::Datum;
use super::{becomes, refuses, set, unset};
use crate::plan::EditFormat::{Env, Ini, Json, Toml, Yaml};
use indexmap::IndexMap;

const DEFENSE: &str = "\
# tuned 2025-11-02, see the review
title = \"edge\"

[content_defense]
quality_threshold = 0.3   # was 0.25
max_per_agent = 100

[content_defense.circuit_breaker]
# opens after this many
failure_threshold = 5
open_duration_secs = 3600

[storage]
path = \"/var/lib/edge\"
";

#[test]
fn a_second_table_of_the_same_name_never_appears() {
    let changes = [
        set("content_defense.quality_threshold", 0.5),
        set("content_defense.max_per_agent", 20),
        set("content_defense.velocity_window_secs", 60),
    ];
    let after = DEFENSE
        .replace("0.3   # was 0.25", "0.5   # was 0.25")
        .replace("max_per_agent = 100\n", "max_per_agent = 20\nvelocity_window_secs = 60\n");
    becomes(Toml, DEFENSE, &changes, &after);
    assert_eq!(after.matches("[content_defense]").count(), 1);
}

#[test]
fn other_tables_survive_a_revert() {
    let changes = [
        set("content_defense.circuit_breaker.failure_threshold", 3),
        set("content_defense.circuit_breaker.half_open_max", 1),
        unset("content_defense.quality_threshold"),
    ];
    let after = DEFENSE
        .replace("failure_threshold = 5", "failure_threshold = 3")
        .replace("open_duration_secs = 3600\n", "open_duration_secs = 3600\nhalf_open_max = 1\n")
        .replace("quality_threshold = 0.3   # was 0.25\n", "");
    becomes(Toml, DEFENSE, &changes, &after);
}

#[test]
fn toml_shapes() {
    becomes(Toml, "", &[set("a.b", 1)], "[a]\nb = 1\n");
    becomes(Toml, "", &[set("a", 1)], "a = 1\n");
    becomes(Toml, "# only a comment\n", &[set("a", 1)], "# only a comment\na = 1\n");
    becomes(Toml, "a = 1", &[set("a", 2)], "a = 2");
    becomes(Toml, "a = 1", &[set("b", 2)], "a = 1\nb = 2");
    becomes(Toml, "a = 1", &[set("t.b", 2)], "a = 1\n\n[t]\nb = 2");
    becomes(Toml, "a = 1\nb = 2", &[unset("b")], "a = 1");
    becomes(
        Toml,
        "a = 1\r\n[t]\r\nb = 2 # c\r\n",
        &[set("t.c", "x"), set("a", 3)],
        "a = 3\r\n[t]\r\nb = 2 # c\r\nc = \"x\"\r\n",
    );
    becomes(Toml, "t = { a = 1 }\n", &[set("t.a", 2), set("t.b", true)], "t = { a = 2, b = true }\n");
    becomes(Toml, "t = { a = 1, b = 2 }\n", &[unset("t.a")], "t = { b = 2 }\n");
    becomes(Toml, "t.a = 1\nu = 2\n", &[set("t.a", 5)], "t.a = 5\nu = 2\n");
    becomes(Toml, "t.a = 1\n", &[set("t.b", 5)], "t.a = 1\nt.b = 5\n");
    becomes(Toml, "t.a = 1\n", &[set("t.b.c", 5)], "t.a = 1\nt.b = { c = 5 }\n");
    becomes(Toml, "[a.b]\nx = 1\n", &[set("a.y", 2)], "[a.b]\nx = 1\n\n[a]\ny = 2\n");
    becomes(Toml, "[a]\n  x = 1\n  y = 2\n", &[set("a.z", 2)], "[a]\n  x = 1\n  y = 2\n  z = 2\n");
    becomes(Toml, "[a]\nx = 1\n# the end\n", &[set("b.y", 2)], "[a]\nx = 1\n# the end\n\n[b]\ny = 2\n");
    becomes(Toml, "x = [1, 2] # two\n", &[set("x", list(&["a", "b"]))], "x = [\"a\", \"b\"] # two\n");
    becomes(Toml, "x = 0x1F\n", &[set("x", 31)], "x = 0x1F\n");
    becomes(Toml, "x = \"\"\"\nlong\n\"\"\" # c\ny = 1\n", &[set("x", "short\n")], "x = \"short\\n\" # c\ny = 1\n");
    becomes(Toml, "x = \"\"\"\nlong\n\"\"\"\ny = 1\n", &[unset("x")], "y = 1\n");
    becomes(Toml, "[a]\nx = 1\n[b]\ny = 1\n", &[unset("a")], "[b]\ny = 1\n");
    becomes(Toml, "\u{feff}a = 1\n", &[set("a", 2)], "\u{feff}a = 2\n");
    becomes(Toml, "a = 1\n", &[unset("b")], "a = 1\n");
    let map = Datum::Map(IndexMap::from([("x".to_owned(), Datum::Int(1)), ("z".to_owned(), Datum::Int(3))]));
    becomes(Toml, "[a]\nx = 1 # stays\ny = 2\n", &[set("a", map)], "[a]\nx = 1 # stays\nz = 3\n");
}

fn list(items: &[&str]) -> Datum {
    Datum::List(items.iter().map(|&item| Datum::from(item)).collect())
}

#[test]
fn toml_refusals() {
    refuses(Toml, "a.x = 1\nb = 2\na.y = 3\n", &[set("c", 1)], "edit it by hand");
    refuses(Toml, "[a]\nx = 1\n[a]\ny = 2\n", &[set("a.x", 1)], "line 3, is not valid TOML");
    refuses(Toml, "a = 1\n", &[set("a.b", 1)], "`a` is a number, not a table");
    refuses(Toml, "a = 1\n", &[unset("a.b")], "`a` is a number, not a table");
    refuses(Toml, "[[a]]\nx = 1\n", &[set("a.x", 1)], "`a` is a list");
    refuses(Toml, "a = 1\n", &[set("b", Datum::Null)], "no null");
    refuses(Toml, "a = 1\n", &[set("b", i128::MAX)], "too large");
}

const COMPOSE: &str = "\
# the stack
version: '3'
services:
  web:
    image: nginx:1.25   # pinned
    ports:
      - \"80:80\"
    environment:
      LOG: info

    # database below
  db:
    image: postgres:15
empty:
";

#[test]
fn yaml_in_lines() {
    let changed = |from: &str, to: &str| COMPOSE.replace(from, to);
    becomes(Yaml, COMPOSE, &[set("services.web.image", "nginx:1.27")], &changed("nginx:1.25", "nginx:1.27"));
    becomes(Yaml, COMPOSE, &[set("version", "4")], &changed("'3'", "'4'"));
    becomes(
        Yaml,
        COMPOSE,
        &[set("services.web.environment.DEBUG", "yes")],
        &changed("LOG: info\n", "LOG: info\n      DEBUG: \"yes\"\n"),
    );
    becomes(Yaml, COMPOSE, &[set("services.db.shm", 5)], &changed("postgres:15\n", "postgres:15\n    shm: 5\n"));
    becomes(Yaml, COMPOSE, &[set("a.b", 1)], &format!("{COMPOSE}a:\n  b: 1\n"));
    becomes(Yaml, COMPOSE, &[set("empty", 1)], &changed("empty:", "empty: 1"));
    becomes(Yaml, COMPOSE, &[set("empty.a.b", 1)], &changed("empty:\n", "empty:\n  a:\n    b: 1\n"));
    becomes(Yaml, COMPOSE, &[unset("services.db")], &changed("  db:\n    image: postgres:15\n", ""));
    becomes(Yaml, COMPOSE, &[unset("services.web.ports")], &changed("    ports:\n      - \"80:80\"\n", ""));
    becomes(
        Yaml,
        COMPOSE,
        &[set("services.web.ports", list(&["81:80"]))],
        &changed("    ports:\n      - \"80:80\"\n", "    ports: [\"81:80\"]\n"),
    );
    becomes(
        Yaml,
        COMPOSE,
        &[unset("services.web.environment.LOG")],
        &changed("environment:\n      LOG: info\n", "environment: {}\n"),
    );
}

#[test]
fn yaml_shapes() {
    becomes(Yaml, "", &[set("a.b", 1)], "a:\n  b: 1\n");
    becomes(Yaml, "# c\n", &[set("a", 1)], "# c\na: 1\n");
    becomes(Yaml, "---\n", &[set("a", 1)], "---\na: 1\n");
    becomes(Yaml, "a: 1", &[set("b", 2)], "a: 1\nb: 2");
    becomes(Yaml, "a: 1\nb: 2", &[unset("b")], "a: 1");
    becomes(Yaml, "a: 1\n", &[unset("a")], "");
    becomes(Yaml, "a: 1 # c\r\nb: 2\r\n", &[set("a", 3), set("c", 4)], "a: 3 # c\r\nb: 2\r\nc: 4\r\n");
    becomes(Yaml, "a: {b: 1, c: 2}\n", &[set("a.b", 5), set("a.d", "x y")], "a: {b: 5, c: 2, d: x y}\n");
    becomes(Yaml, "a: {}\n", &[set("a.b", 5)], "a: {b: 5}\n");
    becomes(Yaml, "a: {b: 1, c: 2}\n", &[unset("a.c")], "a: {b: 1}\n");
    becomes(Yaml, "a: {b: 1, c: 2}\n", &[unset("a.b")], "a: {c: 2}\n");
    becomes(Yaml, "a: {b: 1}\n", &[unset("a.b")], "a: {}\n");
    becomes(Yaml, "a: |\n  one\n  two\nb: 1\n", &[set("a", "x")], "a: x\nb: 1\n");
    becomes(Yaml, "a: 1\nb: |\n  one\n  two\n", &[set("c", 2)], "a: 1\nb: |\n  one\n  two\nc: 2\n");
    becomes(Yaml, "a: 1\nb: |+\n  one\n\n", &[set("c", 2)], "a: 1\nb: |+\n  one\n\nc: 2\n");
    becomes(Yaml, "a: |\n  one\n\n# c\nb: 1\n", &[unset("a")], "\n# c\nb: 1\n");
    becomes(Yaml, "a: >-\n  one\n  two\n\nb: 1\n", &[set("a", 1)], "a: 1\n\nb: 1\n");
    becomes(Yaml, "a: \"x\" # c\n", &[set("a", "y")], "a: \"y\" # c\n");
    becomes(Yaml, "a: x\n", &[set("a", "5")], "a: \"5\"\n");
    becomes(Yaml, "a: yes\n", &[set("a", "yes")], "a: \"yes\"\n");
    becomes(Yaml, "a: 1.0\n", &[set("a", 1.0)], "a: 1.0\n");
    becomes(Yaml, "a: x\n", &[set("a", 1e21)], "a: 1.0e+21\n");
    becomes(Yaml, "\"a b\": 1\n", &[set("a b", 2)], "\"a b\": 2\n");
    becomes(Yaml, "a: one\n  two\nb: 1\n", &[set("a", 2)], "a: 2\nb: 1\n");
    becomes(Yaml, "a:\n- 1\n- 2\nb: 1\n", &[set("a", 2)], "a: 2\nb: 1\n");
    becomes(Yaml, "a:\n    b: 1\n", &[set("c.d", 2)], "a:\n    b: 1\nc:\n    d: 2\n");
    becomes(
        Yaml,
        "base: &b\n  x: 1\nuse:\n  <<: *b\n  y: 2\n",
        &[set("use.y", 3)],
        "base: &b\n  x: 1\nuse:\n  <<: *b\n  y: 3\n",
    );
    becomes(Yaml, "? a\n: 1\n", &[set("a", 2)], "? a\n: 2\n");
    becomes(Yaml, "\"a:b\": 1\nc:\t2\n", &[set("c", 3), set("a:b", 3)], "\"a:b\": 3\nc:\t3\n");
    becomes(Yaml, "%YAML 1.2\n---\na: 1\n...\n", &[set("b", 2)], "%YAML 1.2\n---\na: 1\nb: 2\n...\n");
    becomes(Yaml, "é:\n  ü: 1 # ö\n", &[set("é.ß", "ä")], "é:\n  ü: 1 # ö\n  \"ß\": \"ä\"\n");
    becomes(Yaml, "k: !Ref x\na: 1\n", &[set("a", 2)], "k: !Ref x\na: 2\n");
    becomes(Yaml, "a: null\n", &[set("a.b", 2)], "a: {b: 2}\n");
    becomes(Yaml, "a:   # why\nb: 1\n", &[set("a.c", 2)], "a:   # why\n  c: 2\nb: 1\n");
    becomes(Yaml, "{\n  a: 1, # one\n}\n", &[set("b", 2)], "{\n  a: 1, # one\n  b: 2,\n}\n");
    becomes(Yaml, "a:\n  b: 1\n\n\n# tail\n", &[set("a.c", 2)], "a:\n  b: 1\n  c: 2\n\n\n# tail\n");
}

#[test]
fn yaml_refusals() {
    refuses(Yaml, "a: 1\na: 2\n", &[set("a", 1)], "line 2, is not valid YAML: the key `a` is there twice");
    refuses(Yaml, "a: [1\n", &[set("a", 1)], "is not valid YAML");
    refuses(Yaml, "a: 1\n---\nb: 1\n", &[set("a", 1)], "more than one document");
    refuses(Yaml, "a: &x 1\nb: *x\n", &[set("a", 2)], "anchor");
    refuses(Yaml, "a: &x\n  c: 1\nb: *x\n", &[set("a.c", 2)], "anchor");
    refuses(Yaml, "a: &x 1\nb: *x\n", &[set("b", 2)], "alias");
    refuses(Yaml, "a: !t 1\n", &[set("a", 2)], "tag");
    refuses(Yaml, "a: [1, 2]\n", &[set("a.0", 2)], "`a` is a list");
    refuses(Yaml, "- 1\n", &[set("a", 2)], "the file is a list");
    let deep = "[".repeat(20_000);
    refuses(Yaml, &deep, &[set("a", 2)], "is not valid YAML");
}

#[test]
fn json_shapes() {
    let pretty = "{\n  \"a\": 1,\n  \"b\": {\n    \"c\": [1, 2],\n    \"d\": 1.50\n  }\n}\n";
    becomes(Json, pretty, &[set("a", 2)], &pretty.replace("\"a\": 1,", "\"a\": 2,"));
    becomes(Json, pretty, &[set("b.e", "x")], &pretty.replace("1.50\n", "1.50,\n    \"e\": \"x\"\n"));
    becomes(Json, pretty, &[set("f", 1)], &pretty.replace("  }\n}", "  },\n  \"f\": 1\n}"));
    becomes(
        Json,
        pretty,
        &[set("f.g.h", 1)],
        &pretty.replace("  }\n}", "  },\n  \"f\": {\n    \"g\": {\n      \"h\": 1\n    }\n  }\n}"),
    );
    becomes(Json, pretty, &[unset("a")], &pretty.replace("  \"a\": 1,\n", ""));
    becomes(Json, pretty, &[unset("b.d")], &pretty.replace(",\n    \"d\": 1.50\n", "\n"));
    becomes(Json, pretty, &[unset("b")], "{\n  \"a\": 1\n}\n");
    becomes(Json, "{\"a\":1,\"b\":2}", &[set("c", 3), set("a", 9)], "{\"a\":9,\"b\":2,\"c\":3}");
    becomes(Json, "{\"a\":1,\"b\":2}", &[unset("a")], "{\"b\":2}");
    becomes(Json, "{\"a\": 1, \"b\": 2}", &[unset("b")], "{\"a\": 1}");
    becomes(Json, "{\"a\": 1, \"b\": 2}", &[set("c", true)], "{\"a\": 1, \"b\": 2, \"c\": true}");
    becomes(Json, "{\"a\": 1}", &[unset("a")], "{}");
    becomes(Json, "{}\n", &[set("a.b", "x\"\n")], "{\"a\": {\"b\": \"x\\\"\\n\"}}\n");
    becomes(Json, "{\r\n\t\"a\": 1\r\n}\r\n", &[set("b", 2)], "{\r\n\t\"a\": 1,\r\n\t\"b\": 2\r\n}\r\n");
    becomes(Json, "{\"\\ud83d\\ude00\": \"\\/\", \"a\": 1}", &[set("a", 2)], "{\"\\ud83d\\ude00\": \"\\/\", \"a\": 2}");
    becomes(Json, "{\"a\": 5}", &[set("a", Datum::Null)], "{\"a\": null}");
    becomes(Json, "{\n  \"a\": {}\n}", &[set("a.b", 1)], "{\n  \"a\": {\"b\": 1}\n}");
    becomes(
        Json,
        "{\"a\": 123456789012345678901234567890}",
        &[set("b", 1)],
        "{\"a\": 123456789012345678901234567890, \"b\": 1}",
    );
}

#[test]
fn json_refusals() {
    refuses(Json, "", &[set("a", 1)], "line 1, is not valid JSON");
    refuses(Json, "{\"a\": 1,\n}", &[set("a", 1)], "line 2, is not valid JSON");
    refuses(Json, "{\"a\": 1, \"a\": 2}", &[set("a", 1)], "the key `a` is there twice");
    refuses(Json, "[1]", &[set("a", 1)], "the file is a list");
    refuses(Json, "{\"a\": \"x\"}", &[set("a.b", 1)], "`a` is a text");
    refuses(Json, "{a: 1}", &[set("a", 1)], "is not valid JSON");
}

const POSTGRES: &str = "\
# - Connection Settings -
listen_addresses = 'localhost'\t\t# what IP address(es) to listen on;
port = 5432\t\t\t\t# (change requires restart)
max_connections = 100\t\t\t# (change requires restart)
#superuser_reserved_connections = 3\t# (change requires restart)

#shared_buffers = 128MB\t\t\t# min 128kB
#work_mem = 4MB
wal_level replica
ssl = off
max_connections = 50
";

#[test]
fn postgresql_conf() {
    let changed = |from: &str, to: &str| POSTGRES.replacen(from, to, 1);
    // The last of two equal keys is the one in force.
    becomes(Ini, POSTGRES, &[set("max_connections", 200)], &changed("max_connections = 50", "max_connections = 200"));
    becomes(
        Ini,
        POSTGRES,
        &[set("shared_buffers", "8GB")],
        &changed("# min 128kB\n", "# min 128kB\nshared_buffers = 8GB\n"),
    );
    becomes(Ini, POSTGRES, &[set("port", 5433)], &changed("5432\t", "5433\t"));
    becomes(Ini, POSTGRES, &[set("listen_addresses", "*")], &changed("'localhost'", "'*'"));
    becomes(Ini, POSTGRES, &[set("listen_addresses", "it's # \\ it")], &changed("'localhost'", "'it''s # \\\\ it'"));
    becomes(Ini, POSTGRES, &[set("search_path", "a, b")], &format!("{POSTGRES}search_path = 'a, b'\n"));
    becomes(Ini, POSTGRES, &[set("empty", "")], &format!("{POSTGRES}empty = ''\n"));
    becomes(Ini, POSTGRES, &[set("wal_level", "logical")], &changed("wal_level replica", "wal_level logical"));
    becomes(Ini, POSTGRES, &[set("ssl", true)], &changed("ssl = off", "ssl = on"));
    refuses(Ini, POSTGRES, &[set("Port", 5433)], "the file spells it `port`");
    becomes(
        Ini,
        POSTGRES,
        &[unset("max_connections")],
        &POSTGRES
            .replace("max_connections = 100\t\t\t# (change requires restart)\n", "")
            .replace("max_connections = 50\n", ""),
    );
    becomes(Ini, "port = 1", &[set("b", 2)], "port = 1\nb = 2");
    becomes(Ini, "port = 1 # c\r\n", &[set("port", 2), set("b", 2)], "port = 2 # c\r\nb = 2\r\n");
    becomes(Ini, "", &[set("a", 1)], "a = 1\n");
}

#[test]
fn sections() {
    let unit = "; unit\n[Unit]\nDescription=x y\n\n[Service]\nExecStart=/bin/x -a \\\n  -b\n#LimitNOFILE=1024\nRestart=no  ; never\n";
    becomes(Ini, unit, &[set("Service.Restart", "always")], &unit.replace("=no ", "=always "));
    becomes(Ini, unit, &[set("Service.LimitNOFILE", 65536)], &unit.replace("1024\n", "1024\nLimitNOFILE=65536\n"));
    becomes(
        Ini,
        unit,
        &[set("Unit.After", "a.target b.target")],
        &unit.replace("x y\n", "x y\nAfter=a.target b.target\n"),
    );
    becomes(Ini, unit, &[set("Install.WantedBy", "x")], &format!("{unit}\n[Install]\nWantedBy=x\n"));
    becomes(Ini, unit, &[unset("Unit")], &unit.replace("[Unit]\nDescription=x y\n\n", ""));
    becomes(Ini, unit, &[unset("Unit.Description")], &unit.replace("Description=x y\n", ""));
    becomes(Ini, "[a]\n[b]\nx=1\n", &[set("a.y", 1)], "[a]\ny=1\n[b]\nx=1\n");
    becomes(Ini, "[a]\nx=1\n[b]\nx=1\n", &[set("b.x", 2)], "[a]\nx=1\n[b]\nx=2\n");
    becomes(Ini, "[a]\nx = \"old value\"\n", &[set("a.x", "new # value")], "[a]\nx = \"new # value\"\n");
    becomes(Ini, "[a]\nskip\n", &[set("a.skip", 1)], "[a]\nskip = 1\n");
    becomes(Ini, "[a]\nx =\n", &[set("a.x", 1)], "[a]\nx =1\n");
    becomes(Ini, "[a]\nx=1\n", &[set("top", 1)], "top=1\n[a]\nx=1\n");
    refuses(Ini, unit, &[set("Service.ExecStart", "/bin/y")], "several lines");
    refuses(Ini, "[a]\nx=1\n", &[set("a.x", "b # c")], "by hand");
    refuses(Ini, "[a]\nx=1\n", &[set("a.b.c", 1)], "one or two parts");
    refuses(Ini, "[a\nx=1\n", &[set("a.x", 1)], "line 1, is not valid ini");
    refuses(Ini, "[a]\nx=1\n", &[set("a.x", "b\nc")], "line break");
    refuses(Ini, "x=1\n", &[set("x", list(&["a"]))], "a list cannot stand");
}

#[test]
fn env_files() {
    let file = "# c\nA=1\nexport B=\"two words\"\nC='x'\n#D=old\n\n";
    becomes(Env, file, &[set("A", 2)], &file.replace("A=1", "A=2"));
    becomes(Env, file, &[set("B", "it's $HOME")], &file.replace("two words", "it's \\$HOME"));
    becomes(Env, file, &[set("C", "a \"b\"")], &file.replace("'x'", "'a \"b\"'"));
    becomes(Env, file, &[set("C", "it's")], &file.replace("'x'", "\"it's\""));
    becomes(Env, file, &[set("D", "p/q")], &file.replace("#D=old\n", "#D=old\nD=p/q\n"));
    becomes(Env, file, &[set("E", "")], &format!("{file}E=\n"));
    becomes(Env, file, &[unset("B")], &file.replace("export B=\"two words\"\n", ""));
    becomes(Env, "A=1\nA=2", &[set("A", 3)], "A=1\nA=3");
    becomes(Env, "A=1\nA=2\nB=1", &[unset("A")], "B=1");
    becomes(Env, "A=1", &[set("B", "a\\b")], "A=1\nB=\"a\\\\b\"");
    becomes(Env, "export A=1\r\n", &[set("B", 2), set("A", 3)], "export A=3\r\nexport B=2\r\n");
    becomes(Env, "A=$HOME\n", &[set("A", "$HOME")], "A=\"\\$HOME\"\n");
    becomes(Env, "", &[set("A", true)], "A=true\n");
    refuses(Env, file, &[set("A", "x\ny")], "line break");
    refuses(Env, file, &[set("a-b", "x")], "letters, digits");
    refuses(Env, "A=1 # c\n", &[set("A", 2)], "a line of its own");
    refuses(Env, "A=1\nif x; then\n", &[set("A", 2)], "line 2, is not valid");
    refuses(Env, "A='x\ny'\n", &[set("A", 2)], "a quote is not closed");
}
