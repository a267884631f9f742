import Rights

/// Whose a credential is. Takes as long for a name that is not there as for a wrong secret.
extension CredentialTable {
    /// Whether to find out takes a hash, and so belongs on a thread of its own.
    func needsHash(_ credential: Credential) -> Bool {
        guard sampleHash != nil else { return false }
        switch credential {
        case .none: return false
        case .password(let user, _):
            if case .plain? = users[Array(user.utf8)]?.secret { return false }
            return true
        case .token: return true
        }
    }

    /// Nil when it is nobody's.
    func entry(shownBy credential: Credential) -> Entry? {
        let (entry, text) = candidate(of: credential)
        switch entry?.secret {
        case .plain(let password): return isEqual(text, password) ? entry : nil
        case .hash(let hash): return PasswordHash.matches(text, hash) ? entry : nil
        case .nothing, nil:
            if let sampleHash {
                _ = PasswordHash.matches(text, sampleHash)
            } else {
                _ = isEqual(text, "a password of some length")
            }
            return nil
        }
    }

    /// The entry whose secret it must be, and what is shown as that.
    private func candidate(of credential: Credential) -> (Entry?, String) {
        switch credential {
        case .none: return (nil, "")
        case .password(let user, let password): return (users[Array(user.utf8)], password)
        case .token(let token): return (tokens[Self.name(ofToken: token)], token)
        }
    }

    /// A token's text is its name, a dot and what is secret of it.
    private static func name(ofToken token: String) -> [UInt8] {
        Array(token.utf8.prefix { $0 != UInt8(ascii: ".") })
    }

    /// A name of the file that the credential mentions; nothing else of it may be shown.
    func name(in credential: Credential) -> String? {
        switch credential {
        case .none: nil
        case .password(let user, _):
            users[Array(user.utf8)] == nil ? nil : "user \(user)"
        case .token(let token):
            tokens[Self.name(ofToken: token)].map { _ in
                "token \(String(decoding: Self.name(ofToken: token), as: UTF8.self))"
            }
        }
    }
}
