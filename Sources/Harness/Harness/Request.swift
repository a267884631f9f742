/// One call of a plugin, as a value.
enum Request: Sendable {
    case resolve
    case read(String)
    /// An empty `expected` stands for "there is no record".
    case write(String, expected: [UInt8], value: [UInt8])
    case erase(String, expected: [UInt8])
    case list(String)
    case wait(String, token: [UInt8])
    case describe
    case page(String, after: String, most: UInt32)
    /// `RQD_NODE_*`
    case update(UInt32, changed: UInt32)

    var name: String {
        switch self {
        case .resolve: "resolve"
        case .read: "read"
        case .write: "write"
        case .erase: "erase"
        case .list: "list"
        case .wait: "wait"
        case .describe: "describe"
        case .page: "page"
        case .update: "update"
        }
    }
}

struct FoundAddress: Equatable, Sendable {
    var host: String
    var port: UInt32
    var source: String

    var text: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

struct FoundRecord: Equatable, Sendable {
    var name: String
    var value: [UInt8]
    var revision: [UInt8]
}

/// What a call gave, copied.
struct CallResults: Sendable {
    /// Nil if the plugin gave none.
    var message: [UInt8]?
    var addresses: [FoundAddress] = []
    var records: [FoundRecord] = []
    /// Nil if the plugin gave none.
    var token: [UInt8]?
    var text: [UInt8]?
    /// Results over a limit or of a wrong kind: what and why.
    var overLimit: [String] = []
    var malformed: [String] = []
    /// Uses of the sink from another thread, or after the call had returned.
    var strayUses: [String] = []

    var messageText: String { String(decoding: message ?? [], as: UTF8.self) }
}

/// A call that came back.
struct CallReport: Sendable {
    var request: Request
    var status: Int32
    var results: CallResults
    /// CLOCK_MONOTONIC, nanoseconds.
    var started: UInt64
    var ended: UInt64
    /// How the plugin's own process came to its end during the call, if it did.
    var crash: String?

    var record: FoundRecord? { results.records.first }

    /// As in `resolve returned UNAVAILABLE (4): no such host`.
    var outline: String {
        let text = results.messageText
        return "\(request.name) returned \(StatusName.of(status))"
            + (text.isEmpty ? "" : ": \(text.prefix(300))")
    }
}
