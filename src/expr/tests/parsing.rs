//! Trees, places and syntax errors.
use super::{here, parse};
use crate::expr::Expr;

fn wrong(text: &str) -> String {
    let error = Expr::parse(text, &here).unwrap_err();
    let under = text.get(error.span.range()).unwrap_or("?");
    format!("{} [{under}] {}", error.message, error.hint.unwrap_or_default())
}

#[test]
fn references_are_names_with_their_attributes() {
    let text = "queue.pending + f(a.b)[c] if é_ok is defined else (x.y | default(z))".replace("é_ok", "ok");
    let expr = parse(&text);
    let found: Vec<_> = expr
        .references()
        .into_iter()
        .map(|reference| {
            assert_eq!(text.get(reference.span.range()).unwrap(), reference.path.join("."));
            reference.path.join(".")
        })
        .collect();
    assert_eq!(found, ["queue.pending", "a.b", "c", "ok", "x.y", "z"]);
}

#[test]
fn syntax_errors_point_at_the_word() {
    assert_eq!(wrong("a = b"), "unexpected input after expression [=] to compare, write `==`");
    assert!(wrong("a if b").starts_with("`if` needs an `else` [a if b]"), "{}", wrong("a if b"));
    assert!(wrong("a.items()").starts_with("values have no methods [a.items()]"), "{}", wrong("a.items()"));
    assert!(wrong("f(*a)").starts_with("arguments cannot be spread with `*` [a]"), "{}", wrong("f(*a)"));
    for text in ["", "(", "a +", "'open", "$value", "a b", "ü + 1", "[1", "a ? b"] {
        assert!(!wrong(text).is_empty());
    }
}

#[test]
fn hostile_nesting_is_refused_not_overflowed() {
    let many = 100_000;
    let texts = [
        format!("{}1{}", "(".repeat(many), ")".repeat(many)),
        format!("{}1", "not ".repeat(many / 8)),
        format!("{}1", "-".repeat(60_000)),
        format!("1{}", " + 1".repeat(10_000)),
        format!("1{}", " if a else 1".repeat(5_000)),
        format!("a{}", ".a".repeat(30_000)),
        format!("a{}", "|a".repeat(30_000)),
        format!("a{}", "[a".repeat(30_000)),
        "[".repeat(60_000),
        format!("a{}", "(a".repeat(30_000)),
        format!("{{{}", "'a':{".repeat(10_000)),
        format!("a < {}", "a < ".repeat(10_000)),
        format!("a is {}", "not a is ".repeat(5_000)),
    ];
    // A small stack, as on a worker thread.
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(move || {
        for text in texts {
            let message = wrong(&text);
            assert!(
                message.contains("nested deeper than 128") || message.contains("longer than"),
                "{}: {message}",
                &text[..20]
            );
        }
    });
    thread.unwrap().join().unwrap();
}

#[test]
fn the_deepest_allowed_tree_is_read_and_evaluated_on_a_small_stack() {
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(|| {
        let texts = [
            format!("{}1{}", "(".repeat(60), ")".repeat(60)),
            format!("{}1{}", "[".repeat(60), "]".repeat(60)),
            format!("{}yes", "not ".repeat(127)),
            format!("1{}", " + 1".repeat(127)),
            format!("{}1{}", "abs(".repeat(60), ")".repeat(60)),
            format!("1{}", "|abs".repeat(120)),
        ];
        for text in texts {
            parse(&text).eval(&super::World).unwrap_or_else(|error| panic!("{text}: {error}"));
        }
    });
    thread.unwrap().join().unwrap();
}

#[test]
fn words_of_the_language_are_no_names() {
    for text in ["1 + not (a)", "a is defined not in b", "f(in)"] {
        let message = wrong(text);
        assert!(message.starts_with("this word cannot stand here"), "{text}: {message}");
    }
}
