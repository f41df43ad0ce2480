//! A small file in MaxMind's format: IPv4 networks and their countries (MaxMind DB format 2.0).

use std::net::Ipv4Addr;

/// A child of a node of the tree.
#[derive(Clone, Copy)]
enum Child {
    Nothing,
    Node(usize),
    Data(usize),
}

/// The file for networks such as `("203.0.113.0", 24, "DE")`, which do not overlap.
pub fn file(networks: &[(&str, u32, &str)]) -> Vec<u8> {
    let mut nodes = vec![[Child::Nothing; 2]];
    let mut data = Vec::new();
    for (address, prefix, country) in networks {
        let bits = address.parse::<Ipv4Addr>().expect("an address").to_bits();
        let offset = data.len();
        data.extend(map(&[("country", map(&[("iso_code", text(country))]))]));
        insert(&mut nodes, bits, *prefix, offset);
    }
    let count = nodes.len();
    let mut file = Vec::new();
    for child in nodes.into_iter().flatten() {
        let record = match child {
            Child::Nothing => count,
            Child::Node(index) => index,
            Child::Data(offset) => count + 16 + offset,
        };
        file.extend(&u32::try_from(record).expect("small").to_be_bytes()[1..]);
    }
    file.extend([0; 16]);
    file.extend(data);
    file.extend(b"\xab\xcd\xefMaxMind.com");
    file.extend(metadata(count));
    file
}

fn insert(nodes: &mut Vec<[Child; 2]>, bits: u32, prefix: u32, offset: usize) {
    let mut at = 0;
    for depth in 0..prefix {
        let side = usize::from(bits & (1 << (31 - depth)) != 0);
        if depth + 1 == prefix {
            nodes[at][side] = Child::Data(offset);
            return;
        }
        at = match nodes[at][side] {
            Child::Node(index) => index,
            _ => {
                nodes.push([Child::Nothing; 2]);
                let index = nodes.len() - 1;
                nodes[at][side] = Child::Node(index);
                index
            }
        };
    }
}

fn metadata(nodes: usize) -> Vec<u8> {
    map(&[
        ("node_count", number(6, nodes as u64)),
        ("record_size", number(5, 24)),
        ("ip_version", number(5, 4)),
        ("database_type", text("Test-Country")),
        ("languages", vec![0, 4]),
        ("binary_format_major_version", number(5, 2)),
        ("binary_format_minor_version", number(5, 0)),
        ("build_epoch", number(9, 1_700_000_000)),
        ("description", map(&[("en", text("test"))])),
    ])
}

fn text(text: &str) -> Vec<u8> {
    assert!(text.len() < 29, "short texts only");
    [&[2 << 5 | text.len() as u8], text.as_bytes()].concat()
}

fn map(pairs: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let pairs_of = pairs.iter().flat_map(|(key, value)| [text(key), value.clone()].concat());
    [vec![7 << 5 | pairs.len() as u8], pairs_of.collect()].concat()
}

/// An unsigned number: of 16 bits (type 5), 32 (6) or 64 (9, an extended type).
fn number(kind: u8, value: u64) -> Vec<u8> {
    let octets: Vec<u8> = value.to_be_bytes().into_iter().skip_while(|octet| *octet == 0).collect();
    let size = octets.len() as u8;
    let control = if kind > 7 { vec![size, kind - 7] } else { vec![kind << 5 | size] };
    [control, octets].concat()
}
