//! A custom-format dump of PostgreSQL 13 to 18, taken apart and put together again: formats 1.14 to 1.16, whose blocks are as
//! they are or compressed with zstd.

/// A string of the dump; some are absent.
pub type Text = Option<String>;

/// A dump.
#[derive(Debug, Clone, PartialEq)]
pub struct Dump {
    /// From the first letter to the time it was made.
    head: Vec<u8>,
    int: usize,
    offset: usize,
    zstd: bool,
    pub database: Text,
    pub server_version: Text,
    pub dump_version: Text,
    pub entries: Vec<Entry>,
    pub blocks: Vec<Block>,
}

/// An entry of its table of contents.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub id: i64,
    has_data: i64,
    table_oid: Text,
    oid: Text,
    pub tag: Text,
    pub desc: String,
    section: i64,
    pub definition: Text,
    drop: Text,
    pub copy: Text,
    pub namespace: Text,
    pub tablespace: Text,
    pub access_method: Text,
    /// Since 1.16.
    relation_kind: Option<i64>,
    pub owner: Text,
    with_oids: Text,
    depends: Vec<String>,
    place: Vec<u8>,
}

/// The data of an entry.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// Lines of a COPY; what ends them.
    Rows {
        id: i64,
        lines: Vec<String>,
        end: String,
    },
    /// Large objects: number and bytes.
    Objects {
        id: i64,
        objects: Vec<(i64, Vec<u8>)>,
    },
}

const ROWS: u8 = 1;
const OBJECTS: u8 = 3;
/// Of the algorithms of compression the one that Lifeboat asks for.
const ZSTD: u8 = 3;
/// What ends the rows of a COPY, and those of a table without any.
const END: &str = "\\.\n";

impl Dump {
    pub fn parse(bytes: &[u8]) -> Self {
        assert_eq!(&bytes[..6], b"PGDMP\x01");
        let minor = bytes[6];
        assert!((14..=16).contains(&minor), "format 1.{minor}");
        let mut reader = Reader {
            bytes,
            at: 11,
            int: usize::from(bytes[8]),
            minor,
            zstd: false,
        };
        assert_eq!(bytes[10], 1, "custom");
        if minor == 14 {
            assert_eq!(reader.int(), 0, "a dump that is not compressed");
        } else {
            let algorithm = reader.take(1)[0];
            assert!([0, ZSTD].contains(&algorithm), "compressed by {algorithm}");
            reader.zstd = algorithm == ZSTD;
        }
        for _ in 0..7 {
            reader.int();
        }
        let offset = usize::from(bytes[9]);
        let mut dump = Self {
            head: bytes[..reader.at].to_vec(),
            int: reader.int,
            offset,
            zstd: reader.zstd,
            database: reader.text(),
            server_version: reader.text(),
            dump_version: reader.text(),
            entries: Vec::new(),
            blocks: Vec::new(),
        };
        for _ in 0..reader.int() {
            dump.entries.push(reader.entry(offset));
        }
        while reader.at < bytes.len() {
            dump.blocks.push(reader.block());
        }
        dump
    }

    pub fn print(&self) -> Vec<u8> {
        let mut out = Writer {
            bytes: self.head.clone(),
            int: self.int,
            zstd: self.zstd,
        };
        for text in [&self.database, &self.server_version, &self.dump_version] {
            out.text(text.as_deref());
        }
        out.int(length(self.entries.len()));
        for entry in &self.entries {
            assert_eq!(entry.place.len(), 1 + self.offset);
            out.entry(entry);
        }
        for block in &self.blocks {
            out.block(block);
        }
        out.bytes
    }

    /// The data of the entry of this number.
    pub fn rows(&mut self, of: i64) -> Option<&mut Vec<String>> {
        self.blocks.iter_mut().find_map(|block| match block {
            Block::Rows { id, lines, .. } if *id == of => Some(lines),
            _ => None,
        })
    }

    /// The large objects, of all blocks: those of an owner may stand for themselves.
    pub fn objects(&mut self) -> Vec<&mut (i64, Vec<u8>)> {
        let blocks = self.blocks.iter_mut();
        let found = blocks.filter_map(|block| match block {
            Block::Objects { objects, .. } => Some(objects.iter_mut()),
            Block::Rows { .. } => None,
        });
        let found: Vec<_> = found.flatten().collect();
        assert!(!found.is_empty(), "a dump with large objects");
        found
    }

    /// Takes an entry out, with its data.
    pub fn remove(&mut self, at: usize) -> Entry {
        let entry = self.entries.remove(at);
        self.blocks.retain(|block| match block {
            Block::Rows { id, .. } | Block::Objects { id, .. } => *id != entry.id,
        });
        entry
    }
}

impl Entry {
    /// `TABLE shop.orders`
    pub fn display(&self) -> String {
        let word = |text: &Text| text.clone().unwrap_or_default();
        format!(
            "{} {}.{}",
            self.desc,
            word(&self.namespace),
            word(&self.tag)
        )
    }

    pub fn sql(&self) -> &str {
        self.definition.as_deref().unwrap_or_default()
    }
}

fn length(n: usize) -> i64 {
    i64::try_from(n).unwrap()
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    int: usize,
    minor: u8,
    zstd: bool,
}

impl Reader<'_> {
    fn take(&mut self, n: usize) -> &[u8] {
        self.at += n;
        &self.bytes[self.at - n..self.at]
    }

    fn int(&mut self) -> i64 {
        let negative = self.take(1)[0] != 0;
        let size = self.int;
        let digits = self.take(size).iter().rev();
        let value = digits.fold(0, |value, byte| value * 256 + i64::from(*byte));
        if negative { -value } else { value }
    }

    fn text(&mut self) -> Text {
        let length = usize::try_from(self.int()).ok()?;
        Some(String::from_utf8(self.take(length).to_vec()).unwrap())
    }

    fn entry(&mut self, offset: usize) -> Entry {
        Entry {
            id: self.int(),
            has_data: self.int(),
            table_oid: self.text(),
            oid: self.text(),
            tag: self.text(),
            desc: self.text().unwrap_or_default(),
            section: self.int(),
            definition: self.text(),
            drop: self.text(),
            copy: self.text(),
            namespace: self.text(),
            tablespace: self.text(),
            access_method: self.text(),
            relation_kind: (self.minor >= 16).then(|| self.int()),
            owner: self.text(),
            with_oids: self.text(),
            depends: std::iter::from_fn(|| self.text()).collect(),
            place: self.take(1 + offset).to_vec(),
        }
    }

    /// Chunks up to an empty one.
    fn chunks(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let length = usize::try_from(self.int()).unwrap();
            if length == 0 && self.zstd && !all.is_empty() {
                return zstd::decode_all(all.as_slice()).unwrap();
            }
            if length == 0 {
                return all;
            }
            all.extend_from_slice(self.take(length));
        }
    }

    fn block(&mut self) -> Block {
        let kind = self.take(1)[0];
        let id = self.int();
        if kind == OBJECTS {
            let mut objects = Vec::new();
            loop {
                let number = self.int();
                if number == 0 {
                    return Block::Objects { id, objects };
                }
                objects.push((number, self.chunks()));
            }
        }
        assert_eq!(kind, ROWS);
        let text = String::from_utf8(self.chunks()).unwrap();
        let (rows, end) = match text.strip_prefix(END) {
            Some(_) => ("", text.as_str()),
            None => text.split_at(text.rfind("\n\\.\n").unwrap() + 1),
        };
        Block::Rows {
            id,
            lines: rows.lines().map(str::to_owned).collect(),
            end: end.to_owned(),
        }
    }
}

struct Writer {
    bytes: Vec<u8>,
    int: usize,
    zstd: bool,
}

impl Writer {
    fn int(&mut self, value: i64) {
        self.bytes.push(u8::from(value < 0));
        let digits = value.unsigned_abs().to_le_bytes();
        self.bytes.extend_from_slice(&digits[..self.int]);
    }

    fn text(&mut self, text: Option<&str>) {
        match text {
            None => self.int(-1),
            Some(text) => {
                self.int(length(text.len()));
                self.bytes.extend_from_slice(text.as_bytes());
            }
        }
    }

    fn entry(&mut self, e: &Entry) {
        self.int(e.id);
        self.int(e.has_data);
        for text in [&e.table_oid, &e.oid, &e.tag] {
            self.text(text.as_deref());
        }
        self.text(Some(&e.desc));
        self.int(e.section);
        for text in [
            &e.definition,
            &e.drop,
            &e.copy,
            &e.namespace,
            &e.tablespace,
            &e.access_method,
        ] {
            self.text(text.as_deref());
        }
        if let Some(kind) = e.relation_kind {
            self.int(kind);
        }
        for text in [&e.owner, &e.with_oids] {
            self.text(text.as_deref());
        }
        for depends in &e.depends {
            self.text(Some(depends));
        }
        self.text(None);
        self.bytes.extend_from_slice(&e.place);
    }

    fn chunks(&mut self, bytes: &[u8]) {
        let packed = self.zstd.then(|| zstd::encode_all(bytes, 1).unwrap());
        for chunk in packed.as_deref().unwrap_or(bytes).chunks(4096) {
            self.int(length(chunk.len()));
            self.bytes.extend_from_slice(chunk);
        }
        self.int(0);
    }

    fn block(&mut self, block: &Block) {
        match block {
            Block::Rows { id, lines, end } => {
                self.bytes.push(ROWS);
                self.int(*id);
                let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
                self.chunks(format!("{text}{end}").as_bytes());
            }
            Block::Objects { id, objects } => {
                self.bytes.push(OBJECTS);
                self.int(*id);
                for (number, bytes) in objects {
                    self.int(*number);
                    self.chunks(bytes);
                }
                self.int(0);
            }
        }
    }
}

/// Numbers of two tables that have the same columns.
pub fn alike(dump: &Dump) -> (i64, i64) {
    let id = |name: &str| {
        let mut all = dump.entries.iter();
        let found = all.find(|e| e.desc == "TABLE DATA" && e.tag.as_deref() == Some(name));
        found.unwrap().id
    };
    (id("orders"), id("archive"))
}

/// Entries of large objects of which some have bytes.
pub fn filled_objects(dump: &Dump) -> Vec<i64> {
    let blocks = dump.blocks.iter().filter_map(|block| match block {
        Block::Objects { id, objects } => {
            let filled = objects.iter().any(|(_, bytes)| !bytes.is_empty());
            filled.then_some(*id)
        }
        Block::Rows { .. } => None,
    });
    blocks.collect()
}
