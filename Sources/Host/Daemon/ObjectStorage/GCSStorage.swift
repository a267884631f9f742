internal import JSON
internal import Notation
internal import Synchronization
internal import Telemetry

/// Copies in a bucket of Google Cloud Storage, through its JSON interface. A small copy is one request, a
/// larger one goes in parts.
final class GCSStorage: StoragePlace {
    private struct Token {
        var text: String
        var end: ContinuousClock.Instant
    }

    let settings: GCSSettings
    /// How what is large is cut, and how often each request is tried.
    let rules: UploadRules
    private let hasTimestamp: Bool
    private let account: ServiceAccount
    private let token = Mutex<Token?>(nil)

    static let markerPrefix = "rqlite-auto-backup-"
    /// What parts the pieces of a body must not stand in any: the hash of the copy follows, which the copy
    /// can't hold but by breaking SHA-256.
    private static let boundaryPrefix = "rqlited-"

    init(
        _ settings: GCSSettings, hasTimestamp: Bool, rules: UploadRules = UploadRules()
    ) throws(StorageFault) {
        self.settings = settings
        self.rules = rules
        self.hasTimestamp = hasTimestamp
        account = try ServiceAccount(file: settings.credentials)
    }

    var name: String { "gs://\(settings.bucket)/\(settings.name)" }

    func lookup(_ stop: StopFlag) throws(StorageFault) -> StoredCopy {
        let answer = try exchange("GET", target(of: settings.name), stop: stop).run(name, stop)
        if answer.status == 404 { return .nothing }
        guard answer.isGood else { throw fault("the question for the object", answer) }
        let metadata = try Self.document(answer, name)["metadata"]
        return StoredCopy(BackupMarker(prefix: Self.markerPrefix) { metadata?[$0]?.string })
    }

    func store(
        _ copy: UploadFile, _ marker: BackupMarker, at time: WallTime, _ stop: StopFlag
    ) throws(StorageFault) {
        let metadata = marker.members(prefix: Self.markerPrefix).map {
            JSONValue.Member($0.name, .string($0.value))
        }
        let object = hasTimestamp ? TimestampedName.of(settings.name, time) : settings.name
        try put(copy, object, metadata, stop)
    }

    func put(
        _ copy: UploadFile, _ object: String, _ metadata: [JSONValue.Member], _ stop: StopFlag
    ) throws(StorageFault) {
        // What Google compares with what it got, and refuses where they differ.
        let sum = withUnsafeBytes(of: try copy.checksum().bigEndian) { Array($0) }
        let description = JSONValue.object([
            .init("name", .string(object)), .init("metadata", .object(metadata)),
            .init("crc32c", .string(Base64Writer.of(sum))),
        ])
        guard copy.byteCount <= rules.threshold else {
            return try putInParts(copy, description, stop)
        }
        // RFC 2046 allows 70 characters.
        let boundary = Self.boundaryPrefix + copy.hash.prefix(48)
        let head =
            "--\(boundary)\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n"
            + "\(description.text())\r\n--\(boundary)\r\n"
            + "Content-Type: application/octet-stream\r\n\r\n"
        var exchange = try exchange(
            "POST", "/upload\(bucket)?uploadType=multipart", stop: stop)
        exchange.headers.append(("content-type", "multipart/related; boundary=\(boundary)"))
        exchange.body = .file(
            copy, head: Array(head.utf8), tail: Array("\r\n--\(boundary)--\r\n".utf8))
        exchange.timeout = nil
        let answer = try exchange.run(name, stop)
        guard answer.isGood else { throw fault("the upload", answer) }
    }

    func fetch(
        timeout: Duration, _ stop: StopFlag,
        receive: @escaping ([UInt8]) throws(StorageFault) -> Void
    ) throws(StorageFault) {
        try get(settings.name, timeout: timeout, stop, receive)
    }

    func get(
        _ object: String, from offset: Int64 = 0, timeout: Duration?, _ stop: StopFlag,
        _ receive: @escaping ([UInt8]) throws(StorageFault) -> Void
    ) throws(StorageFault) {
        var exchange = try exchange("GET", "\(target(of: object))?alt=media", stop: stop)
        exchange.headers += DownloadRange.headers(from: offset)
        exchange.receivedStatus = DownloadRange.status(from: offset)
        exchange.timeout = timeout
        let answer = try exchange.run(name, stop, receive: receive)
        guard DownloadRange.isGood(answer, from: offset) else {
            throw fault("the download", answer)
        }
    }

    var bucket: String { "/storage/v1/b/\(PercentEncoding.encode(settings.bucket))/o" }

    private func target(of object: String) -> String {
        "\(bucket)/\(PercentEncoding.encode(object))"
    }

    func exchange(
        _ method: String, _ target: String, stop: StopFlag
    ) throws(StorageFault) -> StorageExchange {
        StorageExchange(
            method: method, url: settings.endpoint.url + target,
            isLocal: settings.endpoint.isLoopback,
            headers: [("authorization", "Bearer \(try bearer(stop))")])
    }

    /// A token that holds for a while, a new one if need be.
    private func bearer(_ stop: StopFlag) throws(StorageFault) -> String {
        let known = token.withLock { $0 }
        if let known, known.end > .now { return known.text }
        let form =
            "grant_type=\(PercentEncoding.encode("urn:ietf:params:oauth:grant-type:jwt-bearer"))"
            + "&assertion=\(try account.assertion(at: .now()))"
        var exchange = StorageExchange(
            method: "POST", url: account.tokenURL.url, isLocal: account.tokenURL.isLoopback,
            headers: [("content-type", "application/x-www-form-urlencoded")])
        exchange.body = .bytes(Array(form.utf8))
        let place = "\(name): a token for \(account.email)"
        let answer = try exchange.run(place, stop)
        guard answer.isGood else {
            let said = try? JSONValue(parsing: answer.body)
            let words = ["error", "error_description"].compactMap { said?[$0]?.string }
            throw AnswerText.fault(
                place, "the question", answer, words.map { AnswerText.printable($0) }
            ).unseen
        }
        let document = try Self.document(answer, place)
        guard let text = document["access_token"]?.string, !text.isEmpty else {
            throw StorageFault("\(place): the answer has no access_token").unseen
        }
        let lifetime = min(max(0, document["expires_in"]?.integer ?? 0), 86_400)
        // With a reserve for what begins just before its end.
        let end = ContinuousClock.now + .seconds(max(0, lifetime - 120))
        token.withLock { $0 = Token(text: text, end: end) }
        return text
    }

    static func document(
        _ answer: StorageExchange.Answer, _ place: String
    ) throws(StorageFault) -> JSONValue {
        do throws(JSONError) {
            return try JSONValue(parsing: answer.body)
        } catch {
            throw StorageFault("\(place): the answer is no JSON: \(error)", isTransient: true)
        }
    }

    func fault(_ what: String, _ answer: StorageExchange.Answer) -> StorageFault {
        // A token may be taken back before its time.
        if answer.status == 401 { token.withLock { $0 = nil } }
        let said = try? JSONValue(parsing: answer.body)
        let words = [said?["error"]?["message"]?.string].compactMap { $0 }
        return AnswerText.fault(name, what, answer, words.map { AnswerText.printable($0) })
    }
}
