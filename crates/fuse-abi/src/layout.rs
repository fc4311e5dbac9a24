//! What a struct that is shared with another program looks like in memory, as data.
//!
//! [`wire_struct!`](crate::wire_struct) defines such a struct and describes it in one place.

/// A struct whose bytes mean the same to both sides that see them.
pub trait Layout: Sized {
    /// The struct's name in Rust: `InHeader`.
    const NAME: &'static str;
    /// Its documentation, a line for each line of the comment.
    const DOC: &'static str;
    /// Its size in bytes.
    const SIZE: usize = size_of::<Self>();
    /// Its fields in the order of their offsets.
    const FIELDS: &'static [Field];
}

/// The [`Layout`] of one struct as a value, so that different structs fit in one list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayoutInfo {
    /// [`Layout::NAME`].
    pub name: &'static str,
    /// [`Layout::DOC`].
    pub doc: &'static str,
    /// [`Layout::SIZE`].
    pub size: usize,
    /// [`Layout::FIELDS`].
    pub fields: &'static [Field],
}

impl LayoutInfo {
    /// The layout of `T`.
    #[must_use]
    pub const fn of<T: Layout>() -> Self {
        Self { name: T::NAME, doc: T::DOC, size: T::SIZE, fields: T::FIELDS }
    }

    /// The struct's name in the kernel, without the prefix `fuse_`: `in_header`.
    #[must_use]
    pub fn snake_name(&self) -> String {
        let mut snake = String::new();
        for (at, letter) in self.name.char_indices() {
            if letter.is_ascii_uppercase() && at > 0 {
                snake.push('_');
            }
            snake.push(letter.to_ascii_lowercase());
        }
        snake
    }
}

/// One field of a struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The field's name in the kernel: `type`, not `r#type`.
    pub name: &'static str,
    /// Where it starts, in bytes from the start of the struct.
    pub offset: usize,
    /// Its size in bytes.
    pub size: usize,
    /// How its bytes are to be read.
    pub kind: Kind,
}

impl Field {
    /// A field with the name that it has in Rust.
    #[doc(hidden)]
    #[must_use]
    pub const fn new(name: &'static str, offset: usize, size: usize, kind: Kind) -> Self {
        let name = match name.as_bytes() {
            [b'r', b'#', ..] => name.split_at(2).1,
            _ => name,
        };
        Self { name, offset, size, kind }
    }
}

/// How the bytes of a field are to be read. Integers are in the host's byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An unsigned byte.
    U8,
    /// An unsigned 16-bit integer.
    U16,
    /// An unsigned 32-bit integer.
    U32,
    /// An unsigned 64-bit integer.
    U64,
    /// A signed 32-bit integer.
    I32,
    /// A signed 64-bit integer.
    I64,
    /// An array: spare room, or bytes whose meaning is not the struct's business.
    Bytes,
    /// A struct with fields of its own.
    Struct(LayoutInfo),
}

impl Kind {
    /// The kind's name in Rust: `u32`, `bytes`, or the struct's own name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::U32 => "u32",
            Self::U64 => "u64",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::Bytes => "bytes",
            Self::Struct(layout) => layout.name,
        }
    }
}

/// A type that a field of a [`wire_struct!`](crate::wire_struct) may have.
#[doc(hidden)]
pub trait FieldType {
    /// How its bytes are to be read.
    const KIND: Kind;
}

impl<T: Layout> FieldType for T {
    const KIND: Kind = Kind::Struct(LayoutInfo::of::<T>());
}

impl<T, const N: usize> FieldType for [T; N] {
    const KIND: Kind = Kind::Bytes;
}

macro_rules! integers {
    ($($integer:ty => $kind:ident),+ $(,)?) => {
        $(impl FieldType for $integer {
            const KIND: Kind = Kind::$kind;
        })+
    };
}

integers!(u8 => U8, u16 => U16, u32 => U32, u64 => U64, i32 => I32, i64 => I64);

/// Defines structs that are shared with another program, and their [`Layout`].
///
/// Each is `#[repr(C)]`, plain data of `zerocopy` 0.8 (`FromBytes`, `IntoBytes`, `Immutable`, `KnownLayout`: padding
/// has to be a field), `Copy`, comparable, and all zeros by default. The crate that uses the macro depends on
/// `zerocopy` under that name.
///
/// ```
/// use fuse_abi::{Layout, wire_struct};
///
/// wire_struct! {
///     /// Where the arguments of a request lie.
///     pub struct SlotRecord {
///         /// What is asked.
///         pub opcode: u32,
///         /// Bytes of payload.
///         pub payload_len: u32,
///     }
/// }
///
/// assert_eq!(SlotRecord::SIZE, 8);
/// assert_eq!(SlotRecord::FIELDS[1].offset, 4);
/// ```
#[macro_export]
macro_rules! wire_struct {
    ($(
        $(#[doc = $doc:literal])*
        $vis:vis struct $name:ident {
            $($(#[$meta:meta])* $field_vis:vis $field:ident: $type:ty,)+
        }
    )+) => {
        $(
            $(#[doc = $doc])*
            #[repr(C)]
            #[derive(
                Clone,
                Copy,
                Debug,
                PartialEq,
                Eq,
                ::zerocopy::FromBytes,
                ::zerocopy::IntoBytes,
                ::zerocopy::Immutable,
                ::zerocopy::KnownLayout,
            )]
            $vis struct $name {
                $($(#[$meta])* $field_vis $field: $type,)+
            }

            impl ::core::default::Default for $name {
                fn default() -> Self {
                    ::zerocopy::FromZeros::new_zeroed()
                }
            }

            impl $crate::layout::Layout for $name {
                const NAME: &'static str = ::core::stringify!($name);
                const DOC: &'static str = ::core::concat!($($doc, "\n"),*);
                const FIELDS: &'static [$crate::layout::Field] = &[
                    $($crate::layout::Field::new(
                        ::core::stringify!($field),
                        ::core::mem::offset_of!($name, $field),
                        ::core::mem::size_of::<$type>(),
                        <$type as $crate::layout::FieldType>::KIND,
                    ),)+
                ];
            }
        )+
    };
}
