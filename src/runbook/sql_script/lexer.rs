//! SQL cut into tokens, by the lexical rules of PostgreSQL (its manual, section 4.1): just enough to tell what is quoted,
//! where a statement ends, and where a value may stand.

use std::ops::Range;

/// Stands for a value in the text that is cut. A document cannot hold this character.
pub(super) const HOLE: char = '\0';

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A word without quotes: a keyword or a name.
    Word,
    /// A number.
    Number,
    /// `'..'`, `E'..'`, `$tag$..$tag$`.
    Text,
    /// `".."`
    Name,
    /// `-- ..` or `/* .. */`
    Comment,
    /// `;`
    End,
    /// `(` or `[`
    Open,
    /// `)` or `]`
    Close,
    /// `\`: it begins a command of psql.
    Backslash,
    /// `$1`
    Parameter,
    /// A value of ours.
    Hole,
    /// Any other character.
    Other,
}

/// One token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) range: Range<usize>,
    /// Whether its end is there: a quote may be left open.
    pub(super) is_closed: bool,
}

/// Cuts a text into tokens; white space is left out. It takes any text.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer { text, at: 0 };
    let mut found = Vec::new();
    while lexer.at < text.len() {
        let start = lexer.at;
        let (kind, is_closed) = lexer.next();
        if let Some(kind) = kind {
            found.push(Token { kind, range: start..lexer.at, is_closed });
        }
    }
    found
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

fn begins_word(character: char) -> bool {
    character.is_ascii_alphabetic() || character == '_' || !character.is_ascii()
}

fn continues_word(character: char) -> bool {
    begins_word(character) || character.is_ascii_digit() || character == '$'
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Takes one token from a text that has not ended; nothing for white space. The second value: whether it is closed.
    fn next(&mut self) -> (Option<TokenKind>, bool) {
        let rest = self.rest();
        let mut characters = rest.chars();
        let first = characters.next().unwrap_or(HOLE);
        let second = characters.next();
        let simple = |kind| (kind, first.len_utf8());
        let (kind, length) = match first {
            ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}' => {
                self.at += 1;
                return (None, true);
            }
            '\'' => return self.quoted(TokenKind::Text, 1, '\'', false),
            'e' | 'E' if second == Some('\'') => return self.quoted(TokenKind::Text, 2, '\'', true),
            '"' => return self.quoted(TokenKind::Name, 1, '"', false),
            '-' if second == Some('-') => (TokenKind::Comment, rest.find(['\n', '\r']).unwrap_or(rest.len())),
            '/' if second == Some('*') => return self.block_comment(),
            '$' => return self.dollar(),
            '0'..='9' => {
                let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '_'));
                (TokenKind::Number, end.unwrap_or(rest.len()))
            }
            ';' => simple(TokenKind::End),
            '(' | '[' => simple(TokenKind::Open),
            ')' | ']' => simple(TokenKind::Close),
            '\\' => simple(TokenKind::Backslash),
            HOLE => simple(TokenKind::Hole),
            first if begins_word(first) => {
                (TokenKind::Word, rest.find(|c: char| !continues_word(c)).unwrap_or(rest.len()))
            }
            _ => simple(TokenKind::Other),
        };
        self.at += length;
        (Some(kind), true)
    }

    /// A quote of `open` bytes up to a single closing one; a doubled one, or one behind a backslash, is text.
    fn quoted(&mut self, kind: TokenKind, open: usize, quote: char, escapes: bool) -> (Option<TokenKind>, bool) {
        self.at += open;
        let rest = self.rest();
        let mut characters = rest.char_indices().peekable();
        while let Some((at, character)) = characters.next() {
            if escapes && character == '\\' {
                characters.next();
            } else if character == quote && characters.next_if(|(_, next)| *next == quote).is_none() {
                self.at += at + 1;
                return (Some(kind), true);
            }
        }
        self.at = self.text.len();
        (Some(kind), false)
    }

    /// A comment in strokes; such comments nest.
    fn block_comment(&mut self) -> (Option<TokenKind>, bool) {
        let mut depth = 0_usize;
        loop {
            let rest = self.rest();
            let length = if rest.starts_with("/*") {
                depth += 1;
                2
            } else if rest.starts_with("*/") {
                depth -= 1;
                2
            } else {
                match rest.chars().next() {
                    Some(character) => character.len_utf8(),
                    None => return (Some(TokenKind::Comment), false),
                }
            };
            self.at += length;
            if depth == 0 {
                return (Some(TokenKind::Comment), true);
            }
        }
    }

    /// `$1`, a text between `$tag$` and `$tag$`, or a stray `$`.
    fn dollar(&mut self) -> (Option<TokenKind>, bool) {
        let rest = self.rest();
        let after = &rest[1..];
        if after.starts_with(|c: char| c.is_ascii_digit()) {
            let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
            self.at += 1 + end;
            return (Some(TokenKind::Parameter), true);
        }
        let tag = after.find('$').map(|end| &after[..end]);
        let is_tag = |tag: &&str| {
            tag.chars().all(|c| continues_word(c) && c != '$') && !tag.starts_with(|c: char| c.is_ascii_digit())
        };
        let Some(tag) = tag.filter(is_tag) else {
            self.at += 1;
            return (Some(TokenKind::Other), true);
        };
        let mark = &rest[..tag.len() + 2];
        let end = rest[mark.len()..].find(mark);
        self.at = end.map_or(self.text.len(), |end| self.at + mark.len() + end + mark.len());
        (Some(TokenKind::Text), end.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kinds(text: &str) -> Vec<(TokenKind, &str)> {
        tokens(text).into_iter().map(|token| (token.kind, &text[token.range])).collect()
    }

    #[test]
    fn quotes_hide_what_they_hold() {
        use TokenKind::{Comment, Name, Number, Parameter, Text, Word};
        for (text, kind) in [
            ("'a;b'", Text),
            ("'it''s; -- /*'", Text),
            ("E'it\\'s; '", Text),
            ("e'\\\\'", Text),
            ("$$;'\"$$", Text),
            ("$a$ $b$ ; $$ $a$", Text),
            ("$é_1$;$é_1$", Text),
            ("\"a;\"\"b\"", Name),
            ("-- a ' ;", Comment),
            ("/* ' /* ; */ \" */", Comment),
            ("a$b$c", Word),
            ("Ünïcode1", Word),
            ("$12", Parameter),
            ("1.5e3", Number),
        ] {
            assert_eq!(kinds(text), [(kind, text)], "{text}");
        }
    }

    #[test]
    fn what_is_left_open_is_told() {
        for text in ["'a", "E'a\\'", "\"a\"\"", "$$ $", "$a$ $b$", "/* /* */", "$tag$"] {
            let found = tokens(text);
            assert!(!found[0].is_closed && found.len() == 1, "{text}: {found:?}");
        }
    }

    #[test]
    fn neighbours_are_told_apart() {
        use TokenKind::{Comment, Other, Text, Word};
        assert_eq!(kinds("ae'x'"), [(Word, "ae"), (Text, "'x'")]);
        assert_eq!(kinds("+--x\n-"), [(Other, "+"), (Comment, "--x"), (Other, "-")]);
        assert_eq!(kinds("a$$b"), [(Word, "a$$b")]);
        assert_eq!(kinds("$ $1x"), [(Other, "$"), (TokenKind::Parameter, "$1"), (Word, "x")]);
    }

    proptest! {
        #[test]
        fn any_text_is_cut_without_loss(text in "[a-eE0-9'\"$\\\\;/*\\-() \n\u{e9}_]{0,40}") {
            let mut at = 0;
            for token in tokens(&text) {
                prop_assert!(token.range.start >= at && token.range.end > token.range.start);
                prop_assert!(text[at..token.range.start].trim().is_empty());
                at = token.range.end;
            }
            prop_assert!(text[at..].trim().is_empty());
        }
    }
}
