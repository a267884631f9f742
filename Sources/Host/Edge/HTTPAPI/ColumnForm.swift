/// What a column's type means for the way its values are written. Only these exact type names
/// count; `bool` or `datetime(6)` do not.
enum ColumnForm {
    case boolean
    case date
    /// Blobs are shown as text.
    case text
    case other

    private static let textPrefixes = [
        "varchar", "varying character", "nchar", "native character", "nvarchar", "clob",
    ]

    init(type: String) {
        switch type {
        case "boolean": self = .boolean
        case "date", "datetime", "timestamp": self = .date
        case "text", "json", "": self = .text
        default: self = Self.textPrefixes.contains { type.hasPrefix($0) } ? .text : .other
        }
    }
}
