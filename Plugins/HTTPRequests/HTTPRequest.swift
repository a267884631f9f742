/// One request to a registry's server.
package struct HTTPRequest: Sendable {
    package struct Header: Sendable {
        package var name: String
        package var value: String
        /// Then no text of ours shows the value, not even one that quotes the server.
        package var isSecret: Bool

        package init(_ name: String, _ value: String, isSecret: Bool = false) {
            self.name = name
            self.value = value
            self.isSecret = isSecret
        }
    }

    package var method: String
    /// Path and query, encoded, beginning with a slash. Shown in errors.
    package var target: String
    /// Whether the query may hold secrets: then errors show the path alone.
    package var isQuerySecret = false
    package var headers: [Header]
    package var body: [UInt8]?
    /// What else no text may show: a password in the body.
    package var secrets: [String] = []
    /// Whether it may reach the server twice. If not, it gets a connection of its own: on one that is
    /// used again libcurl repeats a request whose answer did not begin.
    package var isRepeatable = true
    /// Bytes; a longer answer is an error.
    package var answerLimit = 1 << 20
    /// In place of the client's own: for certificates that are read again each time.
    package var tls: TLSOptions?

    package init(
        _ method: String, _ target: String, headers: [Header] = [], body: [UInt8]? = nil
    ) {
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
    }

    /// For errors.
    var shownTarget: Substring {
        isQuerySecret ? target.prefix { $0 != "?" } : target[...]
    }
}

/// What a server answered, whatever its status.
package struct HTTPAnswer: Sendable {
    package var status: Int
    /// Names in lower case.
    package var headers: [(name: String, value: String)]
    /// Empty if it was streamed.
    package var body: [UInt8]

    /// The last of that name, in any letter case.
    package func header(_ name: String) -> String? {
        headers.last { $0.name == name.lowercased() }?.value
    }
}
