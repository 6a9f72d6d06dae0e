//! `derive(Typed)`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Data, DataEnum, DeriveInput, Error, Fields, FieldsNamed, Result};

use crate::wire::{self, Container};

/// The implementation of `Typed`.
pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    if let Some(parameter) = input.generics.params.first() {
        return Err(Error::new(parameter.span(), "a type with parameters has no schema of its own"));
    }
    let container = Container::read(&input.attrs)?;
    let shape = match &input.data {
        Data::Struct(data) if container.is_transparent => transparent(&container, input, &data.fields)?,
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => record(&container, input, fields)?,
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                let message = "a newtype is written as what it holds if it says `#[serde(transparent)]`";
                return Err(Error::new(input.ident.span(), message));
            }
            _ => return Err(Error::new(input.ident.span(), "a struct in Avro has named fields")),
        },
        Data::Enum(data) => choice(&container, input, data)?,
        Data::Union(_) => return Err(Error::new(input.ident.span(), "a union has no form in Avro")),
    };
    let ident = &input.ident;
    Ok(quote! {
        #[automatically_derived]
        impl ::tidemill::schema::Typed for #ident {
            fn shape() -> ::tidemill::schema::Shape {
                #shape
            }
        }
    })
}

/// A struct with named fields.
fn record(container: &Container, input: &DeriveInput, fields: &FieldsNamed) -> Result<TokenStream> {
    let mut written = Vec::new();
    for field in &fields.named {
        let ident = field.ident.as_ref().expect("a named field has a name");
        let named = container.field(ident, field)?;
        if named.is_skipped {
            continue;
        }
        let (name, aliases, default) = (&named.name, &named.aliases, named.has_default);
        let shape = shape_of(&field.ty, named.is_bytes);
        written.push(quote! {
            ::tidemill::schema::Field {
                name: #name,
                aliases: &[#(#aliases),*],
                default: #default,
                shape: #shape,
            }
        });
    }
    let name = input.ident.unraw().to_string();
    Ok(quote! {
        ::tidemill::schema::Shape::Record(::tidemill::schema::Record {
            name: #name,
            path: ::core::any::type_name::<Self>(),
            fields: || ::std::vec![#(#written),*],
        })
    })
}

/// A struct that is written as its only field.
fn transparent(container: &Container, input: &DeriveInput, fields: &Fields) -> Result<TokenStream> {
    let mut shapes = Vec::new();
    for field in fields {
        let named = container.field(field.ident.as_ref().unwrap_or(&input.ident), field)?;
        if !named.is_skipped {
            shapes.push(shape_of(&field.ty, named.is_bytes));
        }
    }
    match &shapes[..] {
        [shape] => Ok(shape.clone()),
        _ => Err(Error::new(input.ident.span(), "a transparent struct has one field that is written")),
    }
}

/// An enum without data.
fn choice(container: &Container, input: &DeriveInput, data: &DataEnum) -> Result<TokenStream> {
    let (mut symbols, mut aliases) = (Vec::new(), Vec::new());
    for variant in &data.variants {
        if !matches!(variant.fields, Fields::Unit) {
            let message = "a variant with data has no form in Avro: take a struct with optional fields and an enum \
                           without data, or one event for each";
            return Err(Error::new(variant.ident.span(), message));
        }
        let named = container.variant(variant)?;
        symbols.push(named.name);
        aliases.extend(named.aliases);
    }
    if symbols.is_empty() || container.is_transparent {
        return Err(Error::new(input.ident.span(), "an enum in Avro is one of some names"));
    }
    let name = input.ident.unraw().to_string();
    Ok(quote! {
        ::tidemill::schema::Shape::Enum(::tidemill::schema::Choice {
            name: #name,
            path: ::core::any::type_name::<Self>(),
            symbols: &[#(#symbols),*],
            aliases: &[#(#aliases),*],
        })
    })
}

fn shape_of(of: &syn::Type, is_bytes: bool) -> TokenStream {
    match (is_bytes, wire::is_option(of)) {
        (true, true) => quote! {
            ::tidemill::schema::Shape::Optional(::std::boxed::Box::new(::tidemill::schema::Shape::Bytes))
        },
        (true, false) => quote!(::tidemill::schema::Shape::Bytes),
        (false, _) => quote_spanned!(of.span()=> <#of as ::tidemill::schema::Typed>::shape()),
    }
}

#[cfg(test)]
mod tests;
