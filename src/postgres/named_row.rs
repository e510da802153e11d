//! A macro for structs that are read from a row by the names of its columns.

/// Declares a struct that is read from a row by the names of its columns, as sqlx's derive macro does. The derive macro
/// would make the build compile sqlx and its TLS twice.
macro_rules! named_row {
    ($(#[$about:meta])* $public:vis struct $name:ident {
        $($(#[$of_field:meta])* $field_public:vis $field:ident: $kind:ty,)+
    }) => {
        $(#[$about])*
        $public struct $name {
            $($(#[$of_field])* $field_public $field: $kind,)+
        }

        impl sqlx::FromRow<'_, sqlx::postgres::PgRow> for $name {
            fn from_row(row: &sqlx::postgres::PgRow) -> sqlx::Result<Self> {
                $(let $field = sqlx::Row::try_get(row, stringify!($field))?;)+
                Ok(Self { $($field,)+ })
            }
        }
    };
}

pub(crate) use named_row;
