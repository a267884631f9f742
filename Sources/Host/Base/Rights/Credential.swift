package import Wire

/// By what somebody says who they are. A forwarded request carries its client's, so that the node
/// that carries it out judges the client and not the node between.
///
///     u8 0 none | u8 1 user and password: text | text | u8 2 token: text
package enum Credential: Hashable, Sendable {
    case none
    case password(user: String, password: String)
    case token(String)

    /// In bytes, for each text: those of a request's header are no longer.
    private static var limit: Int { 1 << 16 }

    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .none: writer.write(UInt8(0))
        case .password(let user, let password):
            writer.write(UInt8(1))
            writer.write(user)
            writer.write(password)
        case .token(let token):
            writer.write(UInt8(2))
            writer.write(token)
        }
    }

    package init(from reader: inout ByteReader) throws(WireError) {
        let kind = try reader.readByte()
        switch kind {
        case 0: self = .none
        case 1:
            self = .password(
                user: try reader.readText(limit: Self.limit),
                password: try reader.readText(limit: Self.limit))
        case 2: self = .token(try reader.readText(limit: Self.limit))
        default: throw .invalid(field: "credential", value: UInt64(kind))
        }
    }

    /// Behind what was complete before credentials were known: nodes that don't know them read no
    /// further, and who sends none writes what they wrote.
    package func encodeAtEnd(into writer: inout ByteWriter) {
        if self != .none { encode(into: &writer) }
    }

    /// What `encodeAtEnd` wrote.
    package init(atEndOf reader: inout ByteReader) throws(WireError) {
        if reader.isAtEnd { self = .none } else { try self.init(from: &reader) }
    }
}

/// By bytes, as passwords are compared: two forms of a letter are two passwords, and two names.
extension Credential {
    package static func == (a: Credential, b: Credential) -> Bool {
        switch (a, b) {
        case (.none, .none): true
        case (.password(let user, let password), .password(let otherUser, let otherPassword)):
            user.utf8.elementsEqual(otherUser.utf8)
                && password.utf8.elementsEqual(otherPassword.utf8)
        case (.token(let token), .token(let other)): token.utf8.elementsEqual(other.utf8)
        default: false
        }
    }

    package func hash(into hasher: inout Hasher) {
        switch self {
        case .none: hasher.combine(0)
        case .password(let user, let password):
            hasher.combine(1)
            Self.hash(user, into: &hasher)
            Self.hash(password, into: &hasher)
        case .token(let token):
            hasher.combine(2)
            Self.hash(token, into: &hasher)
        }
    }

    private static func hash(_ text: String, into hasher: inout Hasher) {
        var text = text
        text.withUTF8 { bytes in
            hasher.combine(bytes.count)
            hasher.combine(bytes: UnsafeRawBufferPointer(bytes))
        }
    }
}
