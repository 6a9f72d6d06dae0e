//! `derive(Event)`.

use std::path::Path;

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Fields, LitInt, LitStr, Member, Result, TypePath};

use crate::wire::Container;
use crate::{catalogue, typed};

/// The longest name of a topic that every broker takes.
const LONGEST_TOPIC_BYTES: usize = 249;

/// How the event is written.
#[derive(Default)]
enum Codec {
    #[default]
    Avro,
    Json,
    Raw,
    Own(TypePath),
}

/// What `#[event(…)]` says.
struct Options {
    name: LitStr,
    version: u32,
    /// Empty for an event that is only scheduled.
    topic: LitStr,
    key: Option<Member>,
    id: Option<Member>,
    codec: Codec,
}

/// The same while it is read.
#[derive(Default)]
struct Reading {
    name: Option<LitStr>,
    version: Option<u32>,
    topic: Option<LitStr>,
    key: Option<Member>,
    id: Option<Member>,
    codec: Option<Codec>,
}

/// The implementations of `Event` and, for Avro, `Typed`. The schema files are looked for from the package's folder upwards.
pub(crate) fn expand(input: &DeriveInput, package: &Path) -> Result<TokenStream> {
    if let Some(parameter) = input.generics.params.first() {
        return Err(Error::new(parameter.span(), "an event has no parameters: its name stands for one type"));
    }
    let options = Options::read(input)?;
    let is_avro = matches!(options.codec, Codec::Avro);
    let key = options.key.as_ref().map(|member| bytes_of(input, member, "key", is_avro)).transpose()?;
    let key = key.unwrap_or_else(|| quote!(::core::option::Option::None));
    let id = options.id.as_ref().map(|member| bytes_of(input, member, "id", is_avro)).transpose()?.map(|id| {
        quote! {
            const NAMES_ID: bool = true;

            fn id(&self) -> ::core::option::Option<::std::borrow::Cow<'_, [u8]>> {
                #id
            }
        }
    });
    let ident = &input.ident;
    let (typed, codec) = match &options.codec {
        Codec::Avro => {
            check_is_record(input)?;
            (typed::expand(input)?, quote!(::tidemill::schema::Avro<#ident>))
        }
        Codec::Json => (TokenStream::new(), quote!(::tidemill::codec::Json)),
        Codec::Raw => (TokenStream::new(), quote!(::tidemill::codec::Raw)),
        Codec::Own(path) => (TokenStream::new(), quote!(#path)),
    };
    let schemas = schemas(&options, package)?;
    let Options { name, version, topic, .. } = &options;
    Ok(quote! {
        #typed

        #[automatically_derived]
        impl ::tidemill::event::Event for #ident {
            const NAME: &'static str = #name;
            const VERSION: u32 = #version;
            const TOPIC: &'static str = #topic;
            const SCHEMAS: &'static [::tidemill::event::SchemaFile] = &[#(#schemas),*];

            type Codec = #codec;

            fn key(&self) -> ::core::option::Option<::std::borrow::Cow<'_, [u8]>> {
                #key
            }

            #id
        }
    })
}

impl Options {
    fn read(input: &DeriveInput) -> Result<Self> {
        let mut reading = Reading::default();
        let mut span = None;
        for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("event")) {
            span = Some(attribute.span());
            attribute.parse_nested_meta(|meta| reading.entry(&meta))?;
        }
        let Some(span) = span else {
            let message = "an event needs `#[event(name = \"domain.event\", version = 1, topic = \"…\", key = field)]`";
            return Err(Error::new(input.ident.span(), message));
        };
        let Reading { name, version, topic, key, id, codec } = reading;
        let missing = |what: &str| Error::new(span, format!("`{what}` is missing"));
        let name = name.ok_or_else(|| missing("name = \"domain.event\""))?;
        let version = version.ok_or_else(|| missing("version = 1"))?;
        let topic = topic.unwrap_or_else(|| LitStr::new("", span));
        Ok(Self { name, version, topic, key, id, codec: codec.unwrap_or_default() })
    }
}

impl Reading {
    /// Reads one entry of the attribute.
    fn entry(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let key = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
        match key.as_str() {
            "name" => once(meta, &mut self.name, event_name(meta)?),
            "version" => once(meta, &mut self.version, version(meta)?),
            "topic" => once(meta, &mut self.topic, topic(meta)?),
            "key" => once(meta, &mut self.key, field(meta, "key")?),
            "id" => once(meta, &mut self.id, field(meta, "id")?),
            "codec" => once(meta, &mut self.codec, codec(meta)?),
            _ => Err(meta.error("unknown; an event has `name`, `version`, `topic`, `key`, `id` and `codec`")),
        }
    }
}

fn once<T>(meta: &ParseNestedMeta<'_>, place: &mut Option<T>, value: T) -> Result<()> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::new(meta.path.span(), "it is said twice")),
    }
}

/// A name becomes a folder, a header and a namespace, so it is kept plain.
fn event_name(meta: &ParseNestedMeta<'_>) -> Result<LitStr> {
    let name: LitStr = meta.value()?.parse()?;
    let text = name.value();
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    let is_part =
        |part: &str| part.starts_with(|letter: char| letter.is_ascii_alphabetic()) && part.chars().all(is_plain);
    if text.contains('.') && text.split('.').all(is_part) {
        return Ok(name);
    }
    let message = "a name is a domain and an event, such as `shop.order-placed`: letters, digits, `-` and `_` between \
                   dots, each part beginning with a letter";
    Err(Error::new(name.span(), message))
}

fn version(meta: &ParseNestedMeta<'_>) -> Result<u32> {
    let literal: LitInt = meta.value()?.parse()?;
    match literal.base10_parse() {
        Ok(version) if version > 0 => Ok(version),
        _ => Err(Error::new(literal.span(), "a version is a number from 1")),
    }
}

fn topic(meta: &ParseNestedMeta<'_>) -> Result<LitStr> {
    let topic: LitStr = meta.value()?.parse()?;
    let text = topic.value();
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
    if text.chars().all(is_plain) && (1..=LONGEST_TOPIC_BYTES).contains(&text.len()) && text != "." && text != ".." {
        return Ok(topic);
    }
    Err(Error::new(topic.span(), "a topic is 1 to 249 letters, digits, `.`, `_` and `-`"))
}

fn field(meta: &ParseNestedMeta<'_>, what: &str) -> Result<Member> {
    let value = meta.value()?;
    if value.peek(LitStr) {
        return Err(value.error(format!("the {what} is a field: its name without quotes")));
    }
    value.parse()
}

fn codec(meta: &ParseNestedMeta<'_>) -> Result<Codec> {
    let path: TypePath = meta.value()?.parse()?;
    let word = path.path.get_ident().map(ToString::to_string);
    Ok(match word.as_deref() {
        Some("avro") => Codec::Avro,
        Some("json") => Codec::Json,
        Some("raw") => Codec::Raw,
        _ => Codec::Own(path),
    })
}

/// An event in Avro is a record.
fn check_is_record(input: &DeriveInput) -> Result<()> {
    let is_named = matches!(&input.data, Data::Struct(data) if matches!(data.fields, Fields::Named(_)));
    if is_named && !Container::read(&input.attrs)?.is_transparent {
        return Ok(());
    }
    let message = "an event in Avro is a struct with named fields; others can be written with `codec = json`";
    Err(Error::new(input.ident.span(), message))
}

/// The expression of the key, or of the id: the bytes of a field.
fn bytes_of(input: &DeriveInput, member: &Member, what: &str, is_avro: bool) -> Result<TokenStream> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new(member.span(), format!("only a struct has a field that is its {what}")));
    };
    let Some((_, field)) = data.fields.members().zip(&data.fields).find(|(known, _)| known == member) else {
        let known: Vec<String> = data.fields.members().map(|member| format!("`{}`", name_of(&member))).collect();
        let message = format!("there is no such field; the {what} is one of {}", known.join(", "));
        return Err(Error::new(member.span(), message));
    };
    if let (true, Some(ident)) = (is_avro, &field.ident)
        && Container::default().field(ident, field)?.is_skipped
    {
        let message = format!("the {what} has to be written: an event that was read has the {what} it was sent with");
        return Err(Error::new(member.span(), message));
    }
    // Only the function stands at the field's place in the source: `self` there would be another one inside a macro.
    let to_key = quote_spanned!(member.span()=> ::tidemill::event::EventKey::to_key);
    Ok(quote!(::core::option::Option::Some(#to_key(&self.#member))))
}

fn name_of(member: &Member) -> String {
    match member {
        Member::Named(name) => name.to_string(),
        Member::Unnamed(place) => place.index.to_string(),
    }
}

/// The schema files, as they are embedded. JSON and raw bytes have none.
fn schemas(options: &Options, package: &Path) -> Result<Vec<TokenStream>> {
    if matches!(options.codec, Codec::Json | Codec::Raw) {
        return Ok(Vec::new());
    }
    let files = catalogue::files(package, &options.name.value(), options.version)
        .map_err(|message| Error::new(options.name.span(), message))?;
    let embedded = files.into_iter().map(|catalogue::File { version, path }| {
        quote! {
            ::tidemill::event::SchemaFile {
                version: #version,
                text: ::core::include_str!(::core::concat!(::core::env!("CARGO_MANIFEST_DIR"), #path)),
            }
        }
    });
    Ok(embedded.collect())
}

#[cfg(test)]
mod tests;
