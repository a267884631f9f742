internal import JSON

/// What an operator names to restore from: a configuration file's text, or an address.
extension StorageSettings {
    /// A file of `-auto-backup` or `-auto-restore`, of which only the place counts here.
    /// - Throws: `StorageFault` that names the member.
    package init(
        configuration text: [UInt8], environment: (String) -> String?
    ) throws(StorageFault) {
        var members = try ConfigMembers(ConfigText.value(text, environment))
        self = try StorageSettings(&members, environment: environment)
    }

    /// `file:///directory/name`, `s3://bucket/path?region=…&endpoint=…&force_path_style=true`,
    /// `gs://bucket/name?credentials_path=…&endpoint=…`: the rest comes from the environment, of Google
    /// the key's path too (`GOOGLE_APPLICATION_CREDENTIALS`).
    /// - Throws: `StorageFault` that names what is wrong with it.
    package init(
        url text: String, environment: (String) -> String?
    ) throws(StorageFault) {
        guard let scheme = text.firstRange(of: "://") else {
            throw StorageFault("\(text) is no address: file://, s3:// and gs:// are known")
        }
        let rest = text[scheme.upperBound...]
        let path = rest.prefix { $0 != "?" }
        var sub = try Self.parameters(rest[path.endIndex...].dropFirst())
        let slash = path.firstIndex(of: "/")
        let (host, name) = (
            path[..<(slash ?? path.endIndex)], slash.map { path[$0...].dropFirst() }
        )
        func member(_ name: String, _ value: some StringProtocol) {
            sub.append(.init(name, .string(String(value))))
        }
        let type: String
        switch text[..<scheme.lowerBound] {
        case "s3":
            type = "s3"
            member("bucket", host)
            member("path", name ?? "")
        case "gs", "gcs":
            type = "gcs"
            member("bucket", host)
            member("name", name ?? "")
            let key = environment("GOOGLE_APPLICATION_CREDENTIALS")
            if let key, !sub.contains(where: { $0.name == "credentials_path" }) {
                member("credentials_path", key)
            }
        case "file":
            type = "file"
            guard host.isEmpty, let end = path.lastIndex(of: "/") else {
                throw StorageFault("\(text): a file's address is file:///directory/name")
            }
            member("dir", end == path.startIndex ? "/" : path[..<end])
            member("name", path[end...].dropFirst())
        default:
            throw StorageFault("\(text) is no address: file://, s3:// and gs:// are known")
        }
        let document = JSONValue.object([
            .init("type", .string(type)), .init("sub", .object(sub)),
        ])
        var members = try ConfigMembers(document)
        self = try StorageSettings(&members, environment: environment)
    }

    private static func parameters(
        _ query: Substring
    ) throws(StorageFault) -> [JSONValue.Member] {
        var members: [JSONValue.Member] = []
        for pair in query.split(separator: "&") {
            guard let equals = pair.firstIndex(of: "=") else {
                throw StorageFault("\(pair) in the address has no value")
            }
            let name = String(pair[..<equals])
            let value = pair[pair.index(after: equals)...]
            let isBoolean = name == "force_path_style"
            members.append(
                .init(name, isBoolean ? .bool(value == "true") : .string(String(value))))
        }
        return members
    }

    /// Of the copy, beside which the archive lies.
    var objectName: String {
        switch self {
        case .s3(let settings): settings.path
        case .gcs(let settings): settings.name
        case .file(let settings): settings.name
        }
    }
}
