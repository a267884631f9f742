import HarnessBackends
import JSON
import PluginABI

/// What a plugin's author tells the harness about the plugin: `<plugin>.harness.json` beside it. The
/// format is described in docs/harness.md.
package struct Manifest: Sendable {
    struct Example: Sendable, Equatable {
        /// Before placeholders are replaced.
        let config: [UInt8]
        /// What the message of a rejection must hold.
        let mentions: String
    }

    /// The kind of fake server it speaks to; nil: none.
    package var backend: String?
    /// For the calls; nil: none, the plugin's defaults.
    var config: [UInt8]?
    var accept: [Example] = []
    var reject: [Example] = []
    /// Commands for the fake server before each check, and those that change what the plugin sees.
    var setup: [[String]] = []
    var change: [[String]] = []
    /// What `resolve` must give, as `host:port`, in any order; empty: not known.
    var expect: [String] = []
    /// The same after `change`; empty: only that it is another answer.
    var expectChanged: [String] = []
    /// Texts that must not be seen anywhere.
    var secrets: [String] = []
    /// Files for each check, in `${FILES}`, and the contents that `change` is for files.
    var files: [JSONValue.Member] = []
    var changedFiles: [JSONValue.Member] = []
    /// Variables of the environment.
    var environment: [JSONValue.Member] = []

    /// Bytes.
    package static let sizeLimit = 4 << 20

    package static let memberNames = [
        "accept", "backend", "change", "changed_files", "config", "environment", "expect",
        "expect_changed", "files",
        "modes", "reject", "secrets", "setup",
    ]

    package init() {}

    /// - Parameter mode: its part under `modes` stands in for members of the whole.
    package init(parsing text: [UInt8], mode: String) throws(ManifestError) {
        let json: JSONValue
        do {
            json = try JSONValue(parsing: text)
        } catch {
            throw ManifestError("\(error)")
        }
        guard json.members != nil else { throw ManifestError("it must be one JSON object") }
        try read(json)
        if let own = json["modes"]?[mode] { try read(own) }
        if let backend, !BackendCatalog.kinds.contains(backend) {
            throw ManifestError(
                "there is no fake server \"\(backend)\"; known are "
                    + BackendCatalog.kinds.joined(separator: ", "))
        }
    }

    private mutating func read(_ json: JSONValue) throws(ManifestError) {
        for member in json.members ?? [] {
            let (name, value) = (member.name, member.value)
            switch name {
            case "backend": backend = try Self.string(value, name)
            case "config": config = try Self.config(value, name)
            case "accept":
                accept = try Self.list(value, name) { (item) throws(ManifestError) in
                    Example(config: try Self.config(item, name), mentions: "")
                }
            case "reject":
                reject = try Self.list(value, name) { (item) throws(ManifestError) in
                    guard let config = item["config"], let mentions = item["mentions"]?.string
                    else {
                        throw ManifestError(
                            "each of \"reject\" must have \"config\" and \"mentions\"")
                    }
                    return Example(config: try Self.config(config, name), mentions: mentions)
                }
            case "setup": setup = try Self.commands(value, name)
            case "change": change = try Self.commands(value, name)
            case "expect": expect = try Self.strings(value, name)
            case "expect_changed": expectChanged = try Self.strings(value, name)
            case "secrets": secrets = try Self.strings(value, name)
            case "files": files = try Self.files(value, name)
            case "changed_files": changedFiles = try Self.files(value, name)
            case "environment": environment = try Self.texts(value, name)
            case "modes":
                guard value.members != nil else { throw Self.wrong(name, "an object") }
            default:
                throw ManifestError(
                    "the member \"\(name)\" is unknown; known are "
                        + Self.memberNames.joined(separator: ", "))
            }
        }
    }

    /// A text is taken as it is; anything else is written as JSON.
    private static func config(_ value: JSONValue, _ name: String) throws(ManifestError) -> [UInt8]
    {
        var bytes: [UInt8] = []
        if let text = value.string {
            bytes = Array(text.utf8)
        } else {
            guard value.members != nil else { throw wrong(name, "an object, or a text") }
            value.write(to: &bytes)
        }
        // What no host hands over says nothing of a plugin.
        guard bytes.count <= Int(RQD_MAX_CONFIG) else {
            throw ManifestError("a configuration of \"\(name)\" has over 1 MiB")
        }
        return bytes
    }

    private static func list<Element>(
        _ value: JSONValue, _ name: String,
        _ element: (JSONValue) throws(ManifestError) -> Element
    ) throws(ManifestError) -> [Element] {
        guard let items = value.array else { throw wrong(name, "a list") }
        var elements: [Element] = []
        for item in items { elements.append(try element(item)) }
        return elements
    }

    private static func string(_ value: JSONValue, _ name: String) throws(ManifestError) -> String {
        guard let text = value.string else { throw wrong(name, "a text") }
        return text
    }

    private static func strings(_ value: JSONValue, _ name: String) throws(ManifestError)
        -> [String]
    {
        try list(value, name) { (item) throws(ManifestError) in try string(item, name) }
    }

    private static func commands(_ value: JSONValue, _ name: String) throws(ManifestError)
        -> [[String]]
    {
        try list(value, name) { (item) throws(ManifestError) in try strings(item, name) }
    }

    private static func texts(_ value: JSONValue, _ name: String) throws(ManifestError)
        -> [JSONValue.Member]
    {
        guard let members = value.members, members.allSatisfy({ $0.value.string != nil }) else {
            throw wrong(name, "an object of texts")
        }
        return members
    }

    private static func files(_ value: JSONValue, _ name: String) throws(ManifestError)
        -> [JSONValue.Member]
    {
        let files = try texts(value, name)
        // Nobody makes folders for them, and they belong to the check.
        guard !files.contains(where: { $0.name.utf8.contains(UInt8(ascii: "/")) }) else {
            throw wrong(name, "an object of texts, by names without a slash")
        }
        return files
    }

    private static func wrong(_ name: String, _ what: String) -> ManifestError {
        ManifestError("the member \"\(name)\" must be \(what)")
    }
}

/// What is wrong with a manifest.
package struct ManifestError: Error, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}

/// Replaces `${BACKEND_HOST}` and the like in what a manifest says. Other variables stay, for the
/// plugin may have its own.
struct Placeholders: Sendable {
    /// Names without the dollar sign and braces.
    var values: [(name: String, value: String)]

    func fill(_ bytes: [UInt8]) -> [UInt8] {
        var rest = bytes[...]
        var output: [UInt8] = []
        while let dollar = rest.firstRange(of: Array("${".utf8)) {
            output += rest[..<dollar.lowerBound]
            rest = rest[dollar.lowerBound...]
            let match = values.first { rest.starts(with: Array("${\($0.name)}".utf8)) }
            if let match {
                output += match.value.utf8
                rest = rest.dropFirst(match.name.utf8.count + 3)
            } else {
                output += rest.prefix(2)
                rest = rest.dropFirst(2)
            }
        }
        return output + rest
    }

    func fill(_ text: String) -> String {
        String(decoding: fill(Array(text.utf8)), as: UTF8.self)
    }
}
