internal import Telemetry

/// Uploads in parts (https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html): one is begun, its
/// parts are put, each under a number and with a hash of its bytes in the signature, and it is completed,
/// which makes the object. Until then what lay there lies there still. One that fails is aborted; that it
/// was begun is noted on the disk before the first part goes, so that the next process aborts what this
/// one could not.
extension S3Storage {
    /// - Parameters:
    ///   - headers: of the object, metadata among them.
    ///   - metadata: what the object is known by afterwards.
    func putInParts(
        _ copy: UploadFile, _ path: String, _ headers: [(name: String, value: String)],
        _ metadata: [(name: String, value: String)], _ stop: StopFlag
    ) throws(StorageFault) {
        guard let ranges = rules.parts(of: copy.byteCount) else {
            throw StorageFault("\(name): the copy has \(copy.byteCount) bytes, too much for S3")
        }
        // What can't be taken back now is no reason to store nothing.
        _ = takeBackUnfinished(stop)
        let id = try rules.repeated(stop) { () throws(StorageFault) in
            try begin(path, headers, stop)
        }
        let note = UploadNotes.Note(bucket: bucketAddress, path: path, id: id)
        do throws(StorageFault) {
            try notes?.begin(note)
            var tags: [String] = []
            for (place, range) in ranges.enumerated() {
                let hash = try copy.hash(of: range)
                tags.append(
                    try rules.repeated(stop) { () throws(StorageFault) in
                        try put(copy, range, hash, as: place + 1, of: note, stop)
                    })
            }
            try complete(note, tags, copy, metadata, stop)
            notes?.end(note)
        } catch {
            if abort(note, stop) == nil {
                notes?.end(note)
            } else {
                notes?.leave(note)
            }
            throw error
        }
    }

    func takeBackUnfinished(_ stop: StopFlag) -> [StorageFault] {
        (notes?.left() ?? []).compactMap { note in
            guard !stop.isRaised else { return nil }
            guard note.bucket == bucketAddress else {
                return StorageFault(
                    "\(note.bucket): an upload of \(note.path) was begun there and not finished, and "
                        + "the configuration names another place now; abort it there: \(note.id)")
            }
            guard let fault = abort(note, stop) else {
                notes?.end(note)
                return nil
            }
            return fault
        }
    }

    private var bucketAddress: String {
        "\(settings.endpoint?.url ?? "s3.\(settings.region)")/\(settings.bucket)"
    }

    // MARK: Requests

    private func begin(
        _ path: String, _ headers: [(name: String, value: String)], _ stop: StopFlag
    ) throws(StorageFault) -> String {
        var exchange = try exchange("POST", path, headers, query: [("uploads", "")])
        exchange.body = .bytes([])
        let answer = try exchange.run(name, stop)
        let text = String(decoding: answer.body, as: UTF8.self)
        guard answer.isGood, let id = AnswerText.elements("UploadId", of: text).first, !id.isEmpty
        else { throw fault("the begin of an upload in parts", answer) }
        return Self.plain(id)
    }

    /// - Returns: what the completion names the part by.
    private func put(
        _ copy: UploadFile, _ range: Range<Int64>, _ hash: String, as number: Int,
        of note: UploadNotes.Note, _ stop: StopFlag
    ) throws(StorageFault) -> String {
        var exchange = try exchange(
            "PUT", note.path, query: [("partNumber", String(number)), ("uploadId", note.id)],
            payload: hash)
        exchange.body = .part(copy, range)
        exchange.timeout = nil
        let answer = try exchange.run(name, stop)
        guard answer.isGood else { throw fault("part \(number)", answer) }
        guard let tag = answer.header("etag"), !tag.isEmpty else {
            throw StorageFault("\(name): part \(number) was taken, and no tag came for it")
        }
        return tag
    }

    /// The answer may be lost, and then the upload is over, one way or the other: the object tells.
    private func complete(
        _ note: UploadNotes.Note, _ tags: [String], _ copy: UploadFile,
        _ metadata: [(name: String, value: String)], _ stop: StopFlag
    ) throws(StorageFault) {
        let parts = tags.enumerated().map {
            "<Part><PartNumber>\($0 + 1)</PartNumber><ETag>\(Self.escaped($1))</ETag></Part>"
        }
        let document = Array(
            ("<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                + parts.joined() + "</CompleteMultipartUpload>").utf8)
        let hash = try ContentDigest.hex(of: document)
        let attempt = Attempt()
        try rules.repeated(stop) { () throws(StorageFault) in
            var exchange = try exchange(
                "POST", note.path, [("content-type", "application/xml")],
                query: [("uploadId", note.id)], payload: hash)
            exchange.body = .bytes(document)
            exchange.timeout = nil
            exchange.stallTime = .seconds(600)
            let mayBeDone = attempt.mayBeDone
            attempt.mayBeDone = true
            let answer = try exchange.run(name, stop)
            let text = String(decoding: answer.body, as: UTF8.self)
            // What goes wrong while S3 puts the parts together is told behind a 200.
            if answer.isGood, text.contains("<CompleteMultipartUploadResult") { return }
            if answer.status == 404, mayBeDone, try holds(note.path, copy, metadata, stop) {
                return
            }
            let fault = fault("the completion", answer)
            throw answer.isGood
                ? StorageFault(fault.description, isTransient: true) : fault
        }
    }

    /// A class, for closures can't hold what changes.
    private final class Attempt {
        var mayBeDone = false
    }

    private func holds(
        _ path: String, _ copy: UploadFile, _ metadata: [(name: String, value: String)],
        _ stop: StopFlag
    ) throws(StorageFault) -> Bool {
        let answer = try exchange("HEAD", path).run(name, stop)
        return answer.isGood && answer.header("content-length") == String(copy.byteCount)
            && metadata.allSatisfy { answer.header($0.name) == $0.value }
    }

    /// - Parameter stop: raised: it is tried once all the same.
    /// - Returns: nil: the storage holds nothing of it any more.
    private func abort(_ note: UploadNotes.Note, _ stop: StopFlag) -> StorageFault? {
        do throws(StorageFault) {
            try rules.repeated(stop, atMost: 3) { () throws(StorageFault) in
                var exchange = try exchange("DELETE", note.path, query: [("uploadId", note.id)])
                exchange.timeout = rules.abortTime
                let answer = try exchange.run(name, StopFlag())
                guard answer.isGood || answer.status == 404 else {
                    throw fault("taking back an upload in parts", answer)
                }
            }
            return nil
        } catch {
            return error
        }
    }

    private static func escaped(_ text: String) -> String {
        [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")]
            .reduce(text) { $0.replacing($1.0, with: $1.1) }
    }
}
