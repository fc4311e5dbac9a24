//! Numbers of the protocol that are enums in Rust.

/// A number that names nothing in protocol 7.45.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnknownCode {
    /// Not an [`Opcode`](crate::Opcode). The protocol's answer to such a request is `ENOSYS`.
    #[error("opcode {0} is not in FUSE protocol 7.45; answer ENOSYS")]
    Opcode(u32),
    /// Not a [`NotifyCode`](crate::NotifyCode).
    #[error("notification code {0} is not in FUSE protocol 7.45")]
    NotifyCode(u32),
    /// Not a [`UringCmd`](crate::UringCmd).
    #[error("io_uring command {0} is not in FUSE protocol 7.45")]
    UringCmd(u32),
}

/// Defines an enum of protocol numbers from rows of `Variant = number, "name", since minor;`.
macro_rules! codes {
    (
        $(#$attr:tt)*
        pub enum $name:ident {
            $($(#$variant_attr:tt)* $variant:ident = $code:literal, $text:literal, since $since:literal;)+
        }
    ) => {
        $(#$attr)*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u32)]
        pub enum $name {
            $(
                $(#$variant_attr)*
                #[doc = concat!("\n\nSince 7.", $since, ".")]
                $variant = $code,
            )+
        }

        impl $name {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The protocol's name in lower case, without its prefix.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// The minor version of protocol 7 that brought it.
            #[must_use]
            pub const fn since(self) -> u32 {
                match self {
                    $(Self::$variant => $since,)+
                }
            }
        }

        impl TryFrom<u32> for $name {
            type Error = $crate::UnknownCode;

            fn try_from(code: u32) -> Result<Self, Self::Error> {
                match code {
                    $($code => Ok(Self::$variant),)+
                    _ => Err($crate::UnknownCode::$name(code)),
                }
            }
        }

        impl From<$name> for u32 {
            fn from(code: $name) -> Self {
                code as Self
            }
        }
    };
}

pub(crate) use codes;
