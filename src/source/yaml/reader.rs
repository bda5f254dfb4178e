//! The only file that knows the parser crate: its events become calls on the tree.

use super::super::diagnostic::{Diagnostic, Diagnostics};
use super::super::file::{self, FILE_LIMIT, Source, Span};
use super::characters;
use super::line;
use super::node::{Node, Style};
use super::syntax::{self, Fault};
use super::tree::{DEPTH_LIMIT, Stop, Tree};
use granit_parser::{ErrorKind, Event, Options, Parser, ScalarStyle, ScanError, StructureStyle, Tag};
use std::borrow::Cow;

/// Reads one YAML document.
///
/// All problems go to `problems`; a tree is returned when the document could be read to its end, even when it has
/// problems such as duplicate keys (the first one stays in the tree).
pub fn parse_yaml(source: &Source, problems: &mut Diagnostics) -> Option<Node> {
    if source.text().len() > FILE_LIMIT {
        problems.push(file::too_large(source, source.text().len()));
        return None;
    }
    if !characters::check(source, problems) {
        return None;
    }
    let mut found = Diagnostics::new();
    let tree = Reader { source, tree: Tree::new(source, &mut found), end: 0, documents: 0 }.read();
    let root = match tree {
        Ok(Some(root)) if !root.is_empty() => Some(root),
        Ok(_) => {
            found.push(
                Diagnostic::error(source, "empty-document", Span::default(), "this file says nothing")
                    .hint("is it the right file, and was it saved?"),
            );
            None
        }
        Err(stop) => {
            // What ended the reading says more than what was said about the same word before.
            found.drop_at(stop.label.span.start);
            found.push(*stop);
            None
        }
    };
    problems.extend(found);
    root
}

struct Reader<'a> {
    source: &'a Source,
    tree: Tree<'a>,
    /// The end of the last thing read.
    end: usize,
    documents: usize,
}

fn options() -> Options {
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.disallow_directives = true;
    options.flow_nesting_limit = DEPTH_LIMIT;
    options.block_nesting_limit = DEPTH_LIMIT;
    options
}

impl Reader<'_> {
    fn read(mut self) -> Result<Option<Node>, Stop> {
        for event in Parser::new_from_str_with_options(self.source.text(), options()) {
            let (event, place) = event.map_err(|error| self.refusal(&error))?;
            let span = place.byte_range().map_or_else(Span::default, |range| Span::new(range.start, range.end));
            let tag = place.tag_span().and_then(|tag| tag.byte_range()).map(|range| Span::new(range.start, range.end));
            self.event(event, span, tag)?;
        }
        Ok(self.tree.finish())
    }

    fn event(&mut self, event: Event<'_>, span: Span, tag_span: Option<Span>) -> Result<(), Stop> {
        match event {
            Event::DocumentStart(..) => return self.document(span),
            Event::Alias(anchor) => self.tree.alias(anchor, span)?,
            Event::Scalar(text, style, anchor, tag) => {
                self.tag(tag.as_ref(), tag_span);
                self.scalar(&text, style, anchor, span)?;
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.tag(tag.as_ref(), tag_span);
                let is_flow = style == StructureStyle::Flow;
                let start = if is_flow { span.start } else { self.dash(span.start) };
                self.tree.open_list(start, is_flow, anchor)?;
            }
            Event::MappingStart(style, anchor, tag) => {
                self.tag(tag.as_ref(), tag_span);
                self.tree.open_map(span.start, style == StructureStyle::Flow, anchor)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.tree.close(span.end)?;
                return Ok(());
            }
            _ => return Ok(()),
        }
        self.end = span.end;
        Ok(())
    }

    fn document(&mut self, span: Span) -> Result<(), Stop> {
        self.documents += 1;
        if self.documents < 2 {
            return Ok(());
        }
        Err(Diagnostic::error(
            self.source,
            "many-documents",
            span,
            "a second document starts here; one file is one document",
        )
        .hint("remove this `---`, or move what follows it into a file of its own")
        .into())
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, anchor: usize, span: Span) -> Result<(), Stop> {
        let (style, span) = match style {
            ScalarStyle::SingleQuoted => (Style::Single, span),
            ScalarStyle::DoubleQuoted => (Style::Double, span),
            ScalarStyle::Literal => (Style::Literal, self.block(span)),
            ScalarStyle::Folded => (Style::Folded, self.block(span)),
            // The parser's marker is of zero width where nothing was written, and stands on the colon.
            ScalarStyle::Plain if span.start == span.end => {
                let after_colon = self.source.text()[span.start..].starts_with(':') && self.end <= span.start;
                let at = span.start + usize::from(after_colon);
                return self.tree.scalar("", Style::Plain, Span::new(at, at), anchor);
            }
            ScalarStyle::Plain => (Style::Plain, span),
        };
        self.tree.scalar(text, style, span, anchor)
    }

    /// The parser's place of a block scalar starts at its first letter; ours starts at its `|` or `>`.
    fn block(&self, span: Span) -> Span {
        let before = self.source.slice(Span::new(self.end, span.start));
        before.find(['|', '>']).map_or(span, |header| Span::new(self.end + header, span.end))
    }

    /// The parser's place of a list without indentation lies after its first dash.
    fn dash(&self, start: usize) -> usize {
        let text = self.source.text();
        if text[start..].starts_with('-') && !text[self.end.min(start)..start].contains('-') {
            return start;
        }
        let before = text[self.end.min(start)..start].trim_end();
        if before.ends_with('-') { self.end.min(start) + before.len() - 1 } else { start }
    }

    fn tag(&mut self, tag: Option<&Cow<'_, Tag>>, span: Option<Span>) {
        if tag.is_none() {
            return;
        }
        let span = span.unwrap_or(Span::new(self.end, self.end));
        self.tree.report(line::tag(self.source, span));
    }

    fn refusal(&self, error: &ScanError) -> Stop {
        let at = error.marker().byte_offset().unwrap_or(self.source.text().len());
        let span = Span::new(at, at);
        if *error.kind() == ErrorKind::RecursionLimitExceeded {
            return self.tree.too_deep(span);
        }
        syntax::explain(self.source, at, self.end, self.tree.open_bracket(), fault(error.kind())).into()
    }
}

/// Our name for what the parser did not like; what has no name of its own is told from the text alone.
fn fault(kind: &ErrorKind) -> Fault {
    match kind {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInIndentation
        | ErrorKind::TabInPlainScalar => Fault::Tab,
        ErrorKind::UnknownAnchor => Fault::UnknownAnchor,
        ErrorKind::UnclosedQuotedScalar
        | ErrorKind::DocumentIndicatorInQuotedScalar
        | ErrorKind::InvalidQuotedScalarIndent => Fault::OpenQuote,
        ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofImplicitFlowMapping
        | ErrorKind::ExpectedFlowMappingSeparator
        | ErrorKind::ExpectedFlowSequenceSeparator
        | ErrorKind::InvalidColonPlacement => Fault::OpenBracket,
        ErrorKind::MisplacedFlowCollectionEnd | ErrorKind::MismatchedFlowCollectionEnd { .. } => Fault::WrongBracket,
        ErrorKind::UnknownQuotedScalarEscape
        | ErrorKind::InvalidQuotedScalarHexEscape
        | ErrorKind::InvalidLowSurrogateHexEscape
        | ErrorKind::InvalidLowSurrogate
        | ErrorKind::MissingLowSurrogate
        | ErrorKind::UnpairedLowSurrogate
        | ErrorKind::InvalidUnicodeEscape => Fault::Escape,
        ErrorKind::CommentInterceptedScalar => Fault::CommentInText,
        ErrorKind::InvalidBlockScalarHeader | ErrorKind::ZeroBlockScalarIndent => Fault::BlockHeader,
        ErrorKind::DirectiveDisallowed | ErrorKind::MissingDocumentEndBeforeDirective => Fault::Directive,
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => Fault::MissingColon,
        ErrorKind::UndeclaredTagHandle
        | ErrorKind::InvalidTagTerminator
        | ErrorKind::MissingTagUri
        | ErrorKind::UnclosedVerbatimTag
        | ErrorKind::InvalidGlobalTagCharacter
        | ErrorKind::InvalidTagEscape => Fault::Tag,
        _ => Fault::Other,
    }
}
