import PluginABI

/// Status codes of the ABI in words.
enum StatusName {
    private static let names = [
        "OK", "ABSENT", "CONFLICT", "CONFIG", "UNAVAILABLE", "AUTH", "TIMEOUT", "CANCELLED",
        "PROTOCOL", "UNSUPPORTED", "INTERNAL",
    ]

    static func isKnown(_ status: Int32) -> Bool { names.indices.contains(Int(status)) }

    static func of(_ status: Int32) -> String {
        isKnown(status) ? "\(names[Int(status)]) (\(status))" : "the unknown status \(status)"
    }
}
