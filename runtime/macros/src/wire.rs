//! Serde's attributes, as far as they decide what stands on the wire.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned;
use syn::{Attribute, Expr, Field, Ident, LitStr, Path, Result, Token, Type, Variant};

use crate::case::Case;

/// What the attributes of a struct or an enum say.
#[derive(Debug, Default)]
pub(crate) struct Container {
    case: Option<Case>,
    default: bool,
    /// Whether the struct is written as what it holds.
    pub(crate) is_transparent: bool,
}

/// A field or a variant on the wire.
#[derive(Debug)]
pub(crate) struct Named {
    /// Its name on the wire.
    pub(crate) name: String,
    /// Names under which it is read as well.
    pub(crate) aliases: Vec<String>,
    /// Whether it is filled in where it is absent.
    pub(crate) has_default: bool,
    /// Whether it is not on the wire at all.
    pub(crate) is_skipped: bool,
    /// Whether it is written as bytes.
    pub(crate) is_bytes: bool,
}

/// What an attribute of a field or a variant may say.
#[derive(Default)]
struct Attributes {
    rename: Option<LitStr>,
    aliases: Vec<LitStr>,
    default: bool,
    skip: bool,
    bytes: bool,
}

impl Container {
    /// Reads the attributes of a type.
    pub(crate) fn read(attributes: &[Attribute]) -> Result<Self> {
        let mut container = Self::default();
        for_each(attributes, |name, meta| {
            match name {
                "rename" => drop(text(meta)?),
                "rename_all" => {
                    let case = text(meta)?;
                    container.case = Some(Case::named(&case.value()).ok_or_else(|| {
                        syn::Error::new(case.span(), "Avro has no names of this form; take snake_case or camelCase")
                    })?);
                }
                "default" => {
                    container.default = true;
                    skip_value(meta)?;
                }
                "transparent" => container.is_transparent = true,
                "crate" | "expecting" => skip_value(meta)?,
                "deny_unknown_fields" => {
                    return Err(meta.error("records of other versions have other fields, which have to be skipped"));
                }
                _ => return Err(refused(name, meta)),
            }
            Ok(())
        })?;
        Ok(container)
    }

    /// Reads a field of a struct with named fields.
    pub(crate) fn field(&self, ident: &Ident, field: &Field) -> Result<Named> {
        let attributes = Attributes::read(&field.attrs)?;
        let rust = ident.unraw().to_string();
        let name = self.case.map_or(rust.clone(), |case| case.field(&rust));
        let mut named = attributes.named(name, ident.span())?;
        named.has_default |= self.default;
        Ok(named)
    }

    /// Reads a variant of an enum without data.
    pub(crate) fn variant(&self, variant: &Variant) -> Result<Named> {
        let attributes = Attributes::read(&variant.attrs)?;
        if attributes.skip || attributes.default || attributes.bytes {
            let message = "a variant has `rename` and `alias`, and nothing else of serde's";
            return Err(syn::Error::new(variant.ident.span(), message));
        }
        let rust = variant.ident.unraw().to_string();
        let name = self.case.map_or(rust.clone(), |case| case.variant(&rust));
        attributes.named(name, variant.ident.span())
    }
}

impl Attributes {
    fn read(attributes: &[Attribute]) -> Result<Self> {
        let mut found = Self::default();
        for_each(attributes, |name, meta| {
            match name {
                "rename" => found.rename = Some(text(meta)?),
                "alias" => found.aliases.push(text(meta)?),
                "default" => {
                    found.default = true;
                    skip_value(meta)?;
                }
                "skip" => found.skip = true,
                "with" => {
                    let module = text(meta)?;
                    if module.value() != "serde_bytes" {
                        let message = "what this module writes is not known here: take a type of its own that is \
                                       `Typed`; only `serde_bytes` is known";
                        return Err(syn::Error::new(module.span(), message));
                    }
                    found.bytes = true;
                }
                "skip_serializing_if" => {
                    let message = "a record in Avro has all its fields; an `Option` that is `None` takes one byte";
                    return Err(meta.error(message));
                }
                _ => return Err(refused(name, meta)),
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn named(self, name: String, span: Span) -> Result<Named> {
        let span = self.rename.as_ref().map_or(span, Spanned::span);
        let name = self.rename.map_or(name, |rename| rename.value());
        if !self.skip {
            check_name(&name, span)?;
        }
        for alias in &self.aliases {
            check_name(&alias.value(), alias.span())?;
        }
        let aliases = self.aliases.iter().map(LitStr::value).collect();
        Ok(Named { name, aliases, has_default: self.default, is_skipped: self.skip, is_bytes: self.bytes })
    }
}

/// Whether the type's last word is `Option`.
pub(crate) fn is_option(of: &Type) -> bool {
    matches!(of, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Option"))
}

/// Hands out every entry of the serde attributes with its name.
fn for_each(attributes: &[Attribute], mut read: impl FnMut(&str, &ParseNestedMeta<'_>) -> Result<()>) -> Result<()> {
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
        attribute.parse_nested_meta(|meta| read(&name_of(&meta.path), &meta))?;
    }
    Ok(())
}

fn name_of(path: &Path) -> String {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect::<Vec<_>>().join("::")
}

/// The text behind `=`. Serde also takes two names, one for each direction; they could not both be the schema's.
fn text(meta: &ParseNestedMeta<'_>) -> Result<LitStr> {
    if meta.input.peek(syn::token::Paren) {
        return Err(meta.error("a schema has one name for both directions"));
    }
    meta.value()?.parse()
}

/// Passes over a value that changes nothing on the wire.
fn skip_value(meta: &ParseNestedMeta<'_>) -> Result<()> {
    if meta.input.peek(Token![=]) {
        meta.value()?.parse::<Expr>()?;
    }
    Ok(())
}

fn refused(name: &str, meta: &ParseNestedMeta<'_>) -> syn::Error {
    meta.error(format!(
        "serde's `{name}` gives values a form that no schema describes; leave it out, or take `codec = json`"
    ))
}

/// A name as the specification wants it.
fn check_name(name: &str, span: Span) -> Result<()> {
    let is_plain = name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    if is_plain && !name.is_empty() && !name.starts_with(|letter: char| letter.is_ascii_digit()) {
        return Ok(());
    }
    Err(syn::Error::new(span, format!("{name:?} is no name in Avro: letters, digits and _, and no digit first")))
}

#[cfg(test)]
mod tests;
