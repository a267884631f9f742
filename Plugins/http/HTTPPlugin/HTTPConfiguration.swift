package import HTTPRequests
import PluginABI
package import PluginSupport

/// What the `http` mode is told.
///
///     url           http://… or https://…, with path and query
///     pointer       JSON pointer (RFC 6901) to the addresses; default "": the document itself
///     host_pointer  from one of them to its host, or host:port; default "": the element itself
///     port_pointer  from one of them to its port; default "": none
///     port          port of those without one; default 0: the asking node's own Raft port
///     headers       an object: names and values
///     header_files  an object: names, and files that hold the values, read at each request
///     token_file    a file, read at each request: "Authorization: Bearer …"
///     interval      between two requests that look for a change; default "10s"
///     tls           an object; see `TLSMembers`
package struct HTTPConfiguration: Sendable {
    package private(set) var server: ServerAddress
    /// Path and query.
    package private(set) var target: String
    package private(set) var list: JSONPointer
    package private(set) var host: JSONPointer
    package private(set) var portPointer: JSONPointer?
    package private(set) var port: UInt16
    private(set) var headers: [(name: String, value: String)]
    private(set) var headerFiles: [(name: String, value: String)]
    private(set) var tokenFile: String
    /// Nanoseconds.
    package private(set) var interval: UInt64
    private(set) var http = HTTPClient.Options()
    package private(set) var notices: [String]

    package static let schema = """
        {"type":"object","additionalProperties":false,"required":["url"],"properties":{\
        "url":{"type":"string"},"pointer":{"type":"string","default":""},\
        "host_pointer":{"type":"string","default":""},\
        "port_pointer":{"type":"string","default":""},\
        "port":{"type":"integer","minimum":0,"maximum":65535,"default":0},\
        "headers":{"type":"object","additionalProperties":{"type":"string"}},\
        "header_files":{"type":"object","additionalProperties":{"type":"string"}},\
        "token_file":{"type":"string"},\
        "interval":{"type":["string","integer"],"default":"10s"},\
        "tls":\(TLSMembers.schema)}}
        """

    private static let usualInterval: UInt64 = 10_000_000_000

    package init(_ bytes: [UInt8], environment: (String) -> String?) throws(CallFailure) {
        var configuration = try Configuration(bytes, environment: environment)
        let url = try configuration.string("url")
        list = try Self.pointer("pointer", &configuration) ?? JSONPointer.whole
        host = try Self.pointer("host_pointer", &configuration) ?? JSONPointer.whole
        portPointer = try Self.pointer("port_pointer", &configuration)
        port = UInt16(try configuration.integer("port", in: 0...65535))
        headers = try Self.headers("headers", &configuration)
        headerFiles = try Self.headers("header_files", &configuration)
        tokenFile = try configuration.string("token_file")
        let interval = try configuration.nanoseconds("interval")
        self.interval = interval == 0 ? Self.usualInterval : interval
        let tls = try configuration.object("tls") { tls throws(CallFailure) in
            try TLSMembers.read(&tls)
        }
        try configuration.finish()
        if let tls { http.tls = tls }
        notices = configuration.notices
        guard let (server, target) = Self.split(url) else {
            // Not shown, for there may be a password in it.
            throw configuration.wrong(
                "url", "http://HOST[:PORT]/PATH or https://…, without user name and blanks")
        }
        self.server = server
        self.target = target
        for (name, path) in headerFiles where !path.hasPrefix("/") {
            throw configuration.wrong("header_files", "absolute paths, which that of \(name) isn't")
        }
        guard tokenFile.isEmpty || tokenFile.hasPrefix("/") else {
            throw configuration.wrong("token_file", "the absolute path of a file")
        }
    }

    private static func pointer(
        _ name: String, _ configuration: inout Configuration
    ) throws(CallFailure) -> JSONPointer? {
        let text = try configuration.string(name)
        if text.isEmpty { return nil }
        guard let pointer = JSONPointer(text) else {
            throw configuration.wrong(
                name, "a JSON pointer, which begins with a slash: \"/nodes\" or \"/0/address\"")
        }
        return pointer
    }

    /// Names are checked (RFC 9110, section 5.1), and so are values that stand there.
    private static func headers(
        _ member: String, _ configuration: inout Configuration
    ) throws(CallFailure) -> [(name: String, value: String)] {
        let found = try configuration.texts(member)
        for (name, value) in found {
            let isName =
                !name.isEmpty
                && name.utf8.allSatisfy { (0x21...0x7E).contains($0) && !isDelimiter($0) }
            guard isName, value.utf8.allSatisfy({ (0x20...0x7E).contains($0) || $0 == 0x09 }) else {
                throw configuration.wrong(
                    member, "an object of headers: names, and values without line breaks")
            }
        }
        return found
    }

    private static func isDelimiter(_ byte: UInt8) -> Bool {
        "\"(),/:;<=>?@[\\]{}".utf8.contains(byte)
    }

    private static func split(_ url: String) -> (ServerAddress, target: String)? {
        guard
            url.utf8.allSatisfy({ (0x21...0x7E).contains($0) && !"\"<>\\^`{|}#".utf8.contains($0) })
        else { return nil }
        let isTLS = url.lowercased().hasPrefix("https://")
        guard isTLS || url.lowercased().hasPrefix("http://") else { return nil }
        let rest = url.dropFirst(isTLS ? 8 : 7)
        let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        guard
            let server = ServerAddress(
                String(url[..<end]), defaultPort: isTLS ? 443 : 80, isTLS: isTLS)
        else { return nil }
        let target = rest[end...]
        return (server, target.hasPrefix("/") ? String(target) : "/\(target)")
    }
}
