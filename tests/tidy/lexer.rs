//! Rust text as tokens: comments apart, strings apart, brackets paired, each with its line.

use proc_macro2::{Delimiter, Spacing, Span, TokenStream, TokenTree};

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An identifier or a keyword.
    Word,
    /// Punctuation; `::` is one token, everything else one character.
    Sign,
    /// A number, a character or a string, as it is written.
    Literal,
    /// An opening bracket.
    Open,
    /// A closing bracket.
    Close,
}

/// One token of a Rust file.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) text: String,
    /// From 1.
    pub(crate) line: usize,
    /// For a bracket, where its partner stands.
    pub(crate) partner: usize,
}

impl Token {
    pub(crate) fn is(&self, text: &str) -> bool {
        self.text == text && self.kind != Kind::Literal
    }

    pub(crate) fn is_word(&self) -> bool {
        self.kind == Kind::Word
    }
}

/// A Rust file.
#[derive(Default)]
pub(crate) struct Source {
    pub(crate) tokens: Vec<Token>,
    /// Each comment, those of the documentation included, with the line it begins on.
    pub(crate) comments: Vec<(usize, String)>,
}

impl Source {
    /// Whether the token at `at` is `text`; past either end it is nothing.
    pub(crate) fn is(&self, at: Option<usize>, text: &str) -> bool {
        at.and_then(|at| self.tokens.get(at)).is_some_and(|token| token.is(text))
    }

    /// The word at `at`, if a word stands there.
    pub(crate) fn word(&self, at: usize) -> Option<&Token> {
        self.tokens.get(at).filter(|token| token.is_word())
    }

    /// Every `mod NAME` in the file: the name, its line, and whether its body stands here.
    pub(crate) fn modules(&self) -> impl Iterator<Item = (usize, &Token, bool)> {
        (0..self.tokens.len()).filter(|at| self.tokens[*at].is("mod")).filter_map(|at| {
            let name = self.word(at + 1)?;
            let here = self.is(Some(at + 2), "{");
            (here || self.is(Some(at + 2), ";")).then_some((at, name, here))
        })
    }
}

/// Splits a Rust file. The error is the line where it stops being Rust.
pub(crate) fn lex(text: &str) -> Result<Source, usize> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let stream: TokenStream = text.parse().map_err(|error: proc_macro2::LexError| error.span().start().line)?;
    let mut lexer = Lexer { text, source: Source::default(), end: 0 };
    lexer.stream(stream);
    lexer.gap(text.len());
    Ok(lexer.source)
}

struct Lexer<'a> {
    text: &'a str,
    source: Source,
    /// Where the token before ended, in bytes.
    end: usize,
}

impl Lexer<'_> {
    fn stream(&mut self, stream: TokenStream) {
        let mut colon = false;
        for tree in stream {
            match tree {
                TokenTree::Group(group) => {
                    let (open, close) = brackets(group.delimiter());
                    let first = self.push(Kind::Open, open.to_owned(), group.span_open());
                    self.stream(group.stream());
                    let last = self.push(Kind::Close, close.to_owned(), group.span_close());
                    self.source.tokens[first].partner = last;
                    self.source.tokens[last].partner = first;
                }
                TokenTree::Ident(word) => {
                    self.push(Kind::Word, word.to_string(), word.span());
                }
                TokenTree::Punct(sign) if colon && sign.as_char() == ':' => {
                    self.end = sign.span().byte_range().end;
                    self.source.tokens.last_mut().expect("a colon came before").text.push(':');
                    colon = false;
                    continue;
                }
                TokenTree::Punct(sign) => {
                    colon = sign.as_char() == ':' && sign.spacing() == Spacing::Joint;
                    self.push(Kind::Sign, sign.as_char().to_string(), sign.span());
                    continue;
                }
                TokenTree::Literal(literal) => {
                    self.push(Kind::Literal, literal.to_string(), literal.span());
                }
            }
            colon = false;
        }
    }

    fn push(&mut self, kind: Kind, text: String, span: Span) -> usize {
        let bytes = span.byte_range();
        self.gap(bytes.start);
        if kind == Kind::Literal && self.text[bytes.clone()].starts_with('/') {
            // The literal that stands for a comment of the documentation.
            self.source.comments.push((span.start().line, self.text[bytes.clone()].to_owned()));
        }
        self.end = self.end.max(bytes.end);
        self.source.tokens.push(Token { kind, text, line: span.start().line, partner: 0 });
        self.source.tokens.len() - 1
    }

    /// What lies between two tokens is space and comments.
    fn gap(&mut self, start: usize) {
        let Some(between) = self.text.get(self.end..start).filter(|between| between.contains('/')) else { return };
        let line = self.text[..self.end].matches('\n').count() + 1;
        self.source.comments.push((line, between.to_owned()));
    }
}

fn brackets(delimiter: Delimiter) -> (&'static str, &'static str) {
    match delimiter {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Brace => ("{", "}"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::None => ("", ""),
    }
}

#[cfg(test)]
mod tests;
