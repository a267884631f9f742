import JSON
package import Rights
import Telemetry

/// A credentials file, as rqlite has it: a JSON array of objects.
///
///     member     meaning
///     username   a user; `*` is everybody, with or without a credential
///     password   plain text
///     perms      what is granted, see `Grants.add`
///
/// and what rqlite does not know:
///
///     hash       in place of `password`: a hash of it, by crypt(5)
///     token      in place of `username`: the name of a bearer token, of whose text `hash` is
///     expires    from this moment on the entry grants nothing: 2027-01-31T00:00:00Z
///
/// The names of members match in any letter case, others are passed over, and of two entries for one
/// user the later counts. Unlike in rqlite, a member that is left out is left out: it is not taken from
/// the entry before.
package struct CredentialTable: Sendable {
    /// By what an entry is shown to be meant.
    enum Secret: Equatable, Sendable {
        /// Nobody can show it.
        case nothing
        case plain(String)
        case hash(String)
    }

    struct Entry: Sendable {
        var secret: Secret
        var grants: Grants
        var expires: WallTime?

        func isExpired(at now: WallTime) -> Bool { expires.map { $0 <= now } ?? false }
    }

    /// What can't be used; the text names the entry and says what is wrong with it.
    package struct Invalid: Error, Equatable, Sendable, CustomStringConvertible {
        package let description: String
    }

    private(set) var everybody = Grants()
    /// By the bytes of their names: who writes a letter in two forms has two users.
    private(set) var users: [[UInt8]: Entry] = [:]
    private(set) var tokens: [[UInt8]: Entry] = [:]
    /// What is allowed and most likely not meant, for the operator.
    package private(set) var warnings: [String] = []

    /// Some entry has a hash: then every guess takes as long as one.
    private(set) var sampleHash: String?

    package init(parsing bytes: [UInt8]) throws(Invalid) {
        let document: JSONValue
        do throws(JSONError) {
            document = try JSONValue(parsing: bytes)
        } catch {
            throw Invalid(
                description: bytes.isEmpty
                    ? "the file is empty: a JSON array of users is expected, as [] for nobody"
                    : "\(error)")
        }
        guard case .array(let entries) = document else {
            throw Invalid(description: "a JSON array of objects is expected")
        }
        for (place, entry) in entries.enumerated() {
            do throws(Invalid) {
                try add(entry)
            } catch {
                throw Invalid(description: "entry \(place + 1): \(error)")
            }
        }
    }

    private mutating func add(_ value: JSONValue) throws(Invalid) {
        guard case .object(let members) = value else {
            throw Invalid(description: "an object is expected")
        }
        func member(_ name: String) -> JSONValue? {
            let found = members.last { $0.name.lowercased() == name }?.value
            return found == .null ? nil : found
        }
        func text(_ name: String) throws(Invalid) -> String? {
            guard let value = member(name) else { return nil }
            guard let text = value.string else {
                throw Invalid(description: "\(name) must be a string")
            }
            return text
        }
        let (user, token) = (try text("username"), try text("token"))
        let (password, hash) = (try text("password"), try text("hash"))
        let expires = try text("expires")
        let name = token ?? user ?? ""
        var entry = Entry(secret: .nothing, grants: try grants(member("perms"), of: name))
        if let expires {
            guard let moment = WallTime(rfc3339: expires) else {
                throw Invalid(
                    description: "expires must be a moment in UTC, as 2027-01-31T00:00:00Z")
            }
            entry.expires = moment
        }
        if let hash {
            guard password == nil else {
                throw Invalid(description: "it has both a password and a hash: leave one out")
            }
            guard PasswordHash.isUsable(hash) else {
                throw Invalid(
                    description: "the hash of \(name) is none that can be used: make one with "
                        + "rqlited auth hash")
            }
            entry.secret = .hash(hash)
            sampleHash = sampleHash ?? hash
        } else if let password {
            entry.secret = .plain(password)
        }
        try add(entry, user: user, token: token)
    }

    private mutating func add(_ entry: Entry, user: String?, token: String?) throws(Invalid) {
        if let token {
            guard user == nil else {
                throw Invalid(description: "it is both of a user and of a token: make two of it")
            }
            guard !token.isEmpty, !token.utf8.contains(UInt8(ascii: ".")) else {
                throw Invalid(description: "a token's name is not empty and has no dot")
            }
            guard case .hash = entry.secret else {
                throw Invalid(
                    description: "the token \(token) needs a hash: rqlited auth token makes both")
            }
            tokens[Array(token.utf8)] = entry
            return
        }
        guard let user, !user.isEmpty else {
            throw Invalid(description: "it has neither a username nor a token")
        }
        if user == "*" {
            if entry.expires != nil { throw Invalid(description: "* can't expire") }
            everybody = entry.grants
            return
        }
        let key = Array(user.utf8)
        if users[key] != nil { warnings.append("user \(user) is there twice: the later counts") }
        if entry.secret == .nothing {
            warnings.append("user \(user) has neither password nor hash: nobody can be them")
        }
        users[key] = entry
    }

    private mutating func grants(_ value: JSONValue?, of name: String) throws(Invalid) -> Grants {
        var grants = Grants()
        guard let value else { return grants }
        guard case .array(let words) = value else {
            throw Invalid(description: "perms must be an array of strings")
        }
        for word in words {
            guard let word = word.string else {
                throw Invalid(description: "perms must be an array of strings")
            }
            if !grants.add(word) {
                warnings.append("\(word) of \(name) is no permission: it grants nothing")
            }
        }
        return grants
    }

    /// How many entries there are, for the operator.
    package var counts: (users: Int, tokens: Int) { (users.count, tokens.count) }

    /// As who a node that needs rights of others speaks; nil where the password is not in the file.
    package func plainCredential(of user: String) -> Credential? {
        guard case .plain(let password)? = users[Array(user.utf8)]?.secret else { return nil }
        return .password(user: user, password: password)
    }
}
