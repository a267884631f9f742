internal import Glibc

/// Where credentials come from that no configuration names: the environment, and then the file that
/// Amazon's own programs read. They are looked up before each request, for both may be changed.
extension AWSCredentials {
    /// What of the environment is as secret as the keys themselves.
    static let variables: Set<String> = [
        "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
    ]

    /// What is set to nothing is as if it were not set, as in Amazon's own programs.
    static func variable(_ name: String, _ environment: (String) -> String?) -> String? {
        environment(name).flatMap { $0.isEmpty ? nil : $0 }
    }

    static func find(
        environment: (String) -> String?
    ) throws(StorageFault) -> AWSCredentials {
        if let id = variable("AWS_ACCESS_KEY_ID", environment),
            let secret = variable("AWS_SECRET_ACCESS_KEY", environment)
        {
            return AWSCredentials(
                id: id, secret: secret, token: variable("AWS_SESSION_TOKEN", environment))
        }
        let path =
            variable("AWS_SHARED_CREDENTIALS_FILE", environment)
            ?? variable("HOME", environment).map { "\($0)/.aws/credentials" }
        let profile = variable("AWS_PROFILE", environment) ?? "default"
        let advice =
            "give access_key_id and secret_access_key, AWS_ACCESS_KEY_ID and "
            + "AWS_SECRET_ACCESS_KEY in the environment, or a file of credentials"
        guard let path, access(path, R_OK) == 0 else {
            throw StorageFault("no credentials for S3: \(advice)").unseen
        }
        let found = AWSCredentials(profile: profile, of: try SmallText.read(path))
        guard let found else {
            throw StorageFault("\(path) has no keys of the profile \(profile): \(advice)").unseen
        }
        return found
    }

    /// - Parameter text: lines `[profile]` and `name = value`; `#` and `;` begin comments.
    init?(profile: String, of text: [UInt8]) {
        var values: [String: String] = [:]
        var isInside = false
        for line in String(decoding: text, as: UTF8.self).split(whereSeparator: \.isNewline) {
            let line = line.trimmed
            if line.hasPrefix("#") || line.hasPrefix(";") { continue }
            if line.hasPrefix("["), line.hasSuffix("]") {
                isInside = line.dropFirst().dropLast().trimmed == profile
            } else if isInside, let equals = line.firstIndex(of: "=") {
                values[line[..<equals].trimmed.lowercased()] =
                    String(line[line.index(after: equals)...].trimmed)
            }
        }
        func value(_ name: String) -> String? { Self.variable(name) { values[$0] } }
        guard let id = value("aws_access_key_id"), let secret = value("aws_secret_access_key")
        else {
            return nil
        }
        self.init(id: id, secret: secret, token: value("aws_session_token"))
    }
}

extension Substring {
    fileprivate var trimmed: Substring {
        var text = drop { $0.isWhitespace }
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }
}

/// Files of a few lines.
enum SmallText {
    private static let limit = 1 << 20

    static func read(_ path: String) throws(StorageFault) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw StorageFault("opening \(path)", code: errno) }
        defer { close(descriptor) }
        return try read(descriptor, path)
    }

    /// - Parameter path: for texts.
    static func read(_ descriptor: Int32, _ path: String) throws(StorageFault) -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw StorageFault("reading \(path)", code: errno) }
            if count == 0 { return bytes }
            bytes += chunk[..<count]
            guard bytes.count <= limit else {
                throw StorageFault("\(path) has more than \(limit) bytes")
            }
        }
    }
}
