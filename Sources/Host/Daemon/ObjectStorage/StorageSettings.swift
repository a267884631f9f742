internal import JSON

/// Where copies of the database lie: the member `sub` of a configuration, by `type`.
package enum StorageSettings: Equatable, Sendable {
    case s3(S3Settings)
    case gcs(GCSSettings)
    case file(FileSettings)

    /// - Parameters:
    ///   - members: of the configuration; takes `version`, `type` and `sub`.
    init(
        _ members: inout ConfigMembers, environment: (String) -> String?
    ) throws(StorageFault) {
        guard (0...1).contains(try members.integer("version") ?? 0) else {
            throw StorageFault("invalid version: it may be 1 at most")
        }
        let type = try members.requiredText("type")
        guard let value = members.value("sub") else { throw StorageFault("sub is missing") }
        var sub = try ConfigMembers(value, prefix: "sub.")
        switch type {
        case "s3": self = .s3(try S3Settings(&sub, environment: environment))
        case "gcs": self = .gcs(try GCSSettings(&sub))
        case "file": self = .file(try FileSettings(&sub))
        default:
            throw StorageFault("unsupported storage type \"\(type)\": s3, gcs and file are there")
        }
        try sub.end()
    }

    /// All that tells what lies there from what lies elsewhere, and nothing that is secret.
    package var address: String {
        switch self {
        case .s3(let place):
            "s3 \(place.endpoint?.url ?? place.region) \(place.bucket) \(place.path)"
        case .gcs(let place): "gcs \(place.endpoint.url) \(place.bucket) \(place.name)"
        case .file(let place): "file \(place.directory)/\(place.name)"
        }
    }
}

/// A bucket of Amazon S3, or of what speaks its protocol.
package struct S3Settings: Equatable, Sendable {
    /// Nil: Amazon's of the region.
    let endpoint: Endpoint?
    let region: String
    let bucket: String
    /// The object's key.
    let path: String
    let isPathStyle: Bool
    /// Nil: found when they are needed, in environment or file.
    let credentials: AWSCredentials?
    /// `AES256` or `aws:kms`; nil: what the bucket does by itself.
    let encryption: String?
    let encryptionKey: String?

    init(
        _ sub: inout ConfigMembers, environment: (String) -> String?
    ) throws(StorageFault) {
        endpoint = try sub.text("endpoint").map { text throws(StorageFault) in
            try Endpoint(text, of: "sub.endpoint")
        }
        region =
            try sub.text("region") ?? AWSCredentials.variable("AWS_REGION", environment)
            ?? AWSCredentials.variable("AWS_DEFAULT_REGION", environment) ?? "us-east-1"
        bucket = try sub.requiredText("bucket")
        path = try sub.requiredText("path")
        isPathStyle = try sub.boolean("force_path_style")
        encryption = try sub.text("server_side_encryption")
        encryptionKey = try sub.text("sse_kms_key_id")
        let id = try sub.text("access_key_id")
        let secret = try sub.text("secret_access_key")
        guard (id == nil) == (secret == nil) else {
            let missing = id == nil ? "access_key_id" : "secret_access_key"
            throw StorageFault(
                "sub.\(missing) is missing: give both keys, or neither for those of the environment"
            )
        }
        if let id, let secret {
            credentials = AWSCredentials(id: id, secret: secret, token: nil)
        } else {
            credentials = nil
        }
        guard region.utf8.allSatisfy(Self.isHostPart), bucket.utf8.allSatisfy(Self.isHostPart)
        else {
            throw StorageFault(
                "sub.bucket and sub.region are letters, digits, dots, hyphens and underscores")
        }
        guard path.utf8.count <= 1024 else { throw sub.wrong("path", "1024 bytes at most") }
        if let encryption, !["AES256", "aws:kms"].contains(encryption) {
            throw sub.wrong("server_side_encryption", "AES256 or aws:kms")
        }
        guard encryptionKey == nil || encryption == "aws:kms" else {
            throw StorageFault("sub.sse_kms_key_id needs server_side_encryption aws:kms")
        }
    }

    /// What may stand in a host's name, and the underscores of old buckets.
    private static func isHostPart(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"),
            UInt8(ascii: "_"):
            true
        default: false
        }
    }
}

/// A bucket of Google Cloud Storage.
package struct GCSSettings: Equatable, Sendable {
    let endpoint: Endpoint
    let bucket: String
    /// The object's.
    let name: String
    /// The path of a service account's key, as Google gives it out.
    let credentials: String

    init(_ sub: inout ConfigMembers) throws(StorageFault) {
        endpoint = try Endpoint(
            try sub.text("endpoint") ?? "https://storage.googleapis.com", of: "sub.endpoint")
        // For making buckets, which nobody asks for here.
        _ = try sub.text("project_id")
        bucket = try sub.requiredText("bucket")
        name = try sub.requiredText("name")
        credentials = try sub.requiredText("credentials_path")
        guard name.utf8.count <= 1024 else { throw sub.wrong("name", "1024 bytes at most") }
    }
}

/// A directory of this machine, or one that is mounted.
package struct FileSettings: Equatable, Sendable {
    /// Absolute.
    let directory: String
    let name: String

    init(_ sub: inout ConfigMembers) throws(StorageFault) {
        directory = try sub.requiredText("dir")
        // rqlite 8 called it so.
        let older = try sub.text("file")
        if let older { name = older } else { name = try sub.requiredText("name") }
        _ = try sub.text("name")
        guard directory.hasPrefix("/") else {
            throw sub.wrong("dir", "an absolute path, and is \(directory)")
        }
        guard !name.contains("/"), !name.hasPrefix("."), name != FileStorage.markerName else {
            throw sub.wrong(
                "name", "a plain file name, without a separator or a dot at its begin")
        }
        guard name.utf8.count <= 200 else { throw sub.wrong("name", "200 bytes at most") }
    }
}

/// The file of `-auto-backup`.
package struct AutoBackupSettings: Equatable, Sendable {
    /// Between two uploads.
    package let interval: Duration
    package let isCompressed: Bool
    /// The object's name begins with the time, so that none is overwritten.
    package let hasTimestamp: Bool
    /// The copy is vacuumed first.
    package let vacuums: Bool
    package let destination: StorageSettings
    /// What is written follows the copies as pieces of the log, so often; nil: it does not.
    package let logInterval: Duration?
    /// How often a whole database goes before the pieces, at least.
    package let logFullInterval: Duration

    /// Unless the file says otherwise.
    private static let usualFullInterval = Duration.seconds(24 * 3600)
    /// The archive's names go on behind the copy's, and stores bound the whole.
    private static let mostNameBytes = 600

    /// - Throws: `StorageFault` that names the member; nothing is touched.
    package init(
        parsing text: [UInt8], environment: (String) -> String?
    ) throws(StorageFault) {
        var members = try ConfigMembers(ConfigText.value(text, environment))
        destination = try StorageSettings(&members, environment: environment)
        guard let interval = try members.duration("interval") else {
            throw StorageFault("interval is missing: how often to back up, as \"5m\"")
        }
        self.interval = interval
        isCompressed = try !members.boolean("no_compress")
        hasTimestamp = try members.boolean("timestamp")
        vacuums = try members.boolean("vacuum")
        logInterval = try members.duration("log_interval")
        let fullInterval = try members.duration("log_full_interval")
        logFullInterval = fullInterval ?? Self.usualFullInterval
        try members.end()
        guard fullInterval == nil || logInterval != nil else {
            throw StorageFault("log_full_interval needs log_interval")
        }
        guard logInterval == nil || destination.objectName.utf8.count <= Self.mostNameBytes else {
            throw StorageFault(
                "with log_interval the object's name has \(Self.mostNameBytes) bytes at most")
        }
    }
}

/// The file of `-auto-restore`.
package struct AutoRestoreSettings: Equatable, Sendable {
    /// For the whole download.
    package let timeout: Duration
    /// The node starts without the data if they can't be had.
    package let continuesOnFailure: Bool
    package let source: StorageSettings

    /// - Throws: `StorageFault` that names the member; nothing is touched.
    package init(
        parsing text: [UInt8], environment: (String) -> String?
    ) throws(StorageFault) {
        var members = try ConfigMembers(ConfigText.value(text, environment))
        source = try StorageSettings(&members, environment: environment)
        timeout = try members.duration("timeout") ?? .seconds(30)
        continuesOnFailure = try members.boolean("continue_on_failure")
        try members.end()
    }
}

/// A configuration's text: JSON, once the environment's variables stand in it.
enum ConfigText {
    static func value(
        _ text: [UInt8], _ environment: (String) -> String?
    ) throws(StorageFault) -> JSONValue {
        do throws(JSONError) {
            return try JSONValue(parsing: EnvironmentText.expand(text, environment))
        } catch {
            throw StorageFault("the configuration is no JSON: \(error)")
        }
    }
}

extension StorageSettings {
    /// Variables of the environment from which the keys of a storage come: those that a configuration
    /// names, whether it can be used or not, and those that count where it has no keys.
    package static func variables(in text: [UInt8]) -> Set<String> {
        var names = AWSCredentials.variables
        _ = EnvironmentText.expand(text) { name in
            names.insert(name)
            return nil
        }
        return names
    }
}
