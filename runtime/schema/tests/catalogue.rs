//! Every sample of the catalogue can be written in its schema and read back.

use std::fs;
use std::path::{Path, PathBuf};

use apache_avro::reader::datum::GenericDatumReader;
use serde_avro_fast::ser::SerializerConfig;
use serde_json::Value;

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder can be listed") {
        let path = entry.expect("the folder stays while it is read").path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "avsc") {
            found.push(path);
        }
    }
}

/// Writes a sample with the writer of the runtime and reads it with the other implementation, or says what went wrong.
fn round_trip(schema: &str, sample: &Value) -> Result<Value, String> {
    let writer: serde_avro_fast::Schema = schema.parse().map_err(|error| format!("{error}"))?;
    let bytes = serde_avro_fast::to_datum_vec(sample, &mut SerializerConfig::new(&writer))
        .map_err(|error| format!("it cannot be written: {error}"))?;
    let reader = apache_avro::Schema::parse_str(schema).map_err(|error| error.to_string())?;
    let reader = GenericDatumReader::builder(&reader).build().map_err(|error| error.to_string())?;
    let mut left = bytes.as_slice();
    let value = reader.read_value(&mut left).map_err(|error| format!("it cannot be read: {error}"))?;
    if !left.is_empty() {
        return Err(format!("{} bytes are left", left.len()));
    }
    Value::try_from(value).map_err(|error| error.to_string())
}

#[test]
fn every_sample_is_written_and_read_in_its_schema() {
    let catalogue = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
    let mut schemas = Vec::new();
    files(&catalogue, &mut schemas);
    assert!(!schemas.is_empty(), "the catalogue is empty");
    for path in schemas {
        let name = path.strip_prefix(&catalogue).unwrap().display();
        let schema = fs::read_to_string(&path).unwrap();
        let sample = fs::read_to_string(path.with_extension("json")).unwrap_or_else(|_| panic!("{name} has no sample"));
        let sample: Value = serde_json::from_str(&sample).unwrap_or_else(|error| panic!("sample of {name}: {error}"));
        let read = round_trip(&schema, &sample).unwrap_or_else(|error| panic!("sample of {name}: {error}"));
        assert_eq!(read, sample, "sample of {name}");
    }
}

#[test]
fn a_sample_that_does_not_fit_is_seen() {
    let schema = r#"{"type": "record", "name": "A", "fields": [{"name": "x", "type": "long"},
        {"name": "y", "type": ["null", "string"]}]}"#;
    let trip = |sample: &str| round_trip(schema, &serde_json::from_str(sample).unwrap());
    assert!(trip(r#"{"x": 1, "y": "a"}"#).is_ok());
    assert!(trip(r#"{"x": "1", "y": null}"#).unwrap_err().contains("cannot be written"));
    assert!(trip(r#"{"x": 1, "y": null, "z": 1}"#).unwrap_err().contains("cannot be written"));
    // A field that the sample leaves out comes back as null, which is not what the sample says.
    assert_ne!(trip(r#"{"x": 1}"#).unwrap(), serde_json::json!({"x": 1}));
}
