internal import JSON
internal import Telemetry

/// Uploads in parts (https://cloud.google.com/storage/docs/performing-resumable-uploads): one is begun, which
/// brings an address of its own for it, and the bytes are put there, some in each request, until Google
/// has all and makes the object. Until then what lay there lies there still. Where a request fails, Google
/// is asked how much it has, and it goes on from there. One that is given up is cancelled; where even that
/// fails it ends by itself after a week, and costs nothing until then, so nothing is noted.
extension GCSStorage {
    /// What each request but the last is a multiple of.
    static let unit: Int64 = 256 << 10

    /// How far an upload is.
    private enum Progress {
        /// Google keeps so many bytes, from the first on.
        case kept(Int64)
        case done
        /// Google knows it no more.
        case lost
    }

    func putInParts(
        _ copy: UploadFile, _ description: JSONValue, _ stop: StopFlag
    ) throws(StorageFault) {
        guard copy.byteCount <= UploadRules.mostBytesAtGoogle else {
            throw StorageFault("\(name): the copy has \(copy.byteCount) bytes, too much for Google")
        }
        let address = try rules.repeated(stop) { () throws(StorageFault) in
            try begin(description, copy.byteCount, stop)
        }
        do throws(StorageFault) {
            try putAll(of: copy, to: address, stop)
        } catch {
            cancel(address)
            throw error
        }
    }

    /// Failures are counted anew whenever Google has got further.
    private func putAll(
        of copy: UploadFile, to address: String, _ stop: StopFlag
    ) throws(StorageFault) {
        var kept: Int64 = 0
        var isKnown = true
        var failures = 0
        func wait(after fault: StorageFault) throws(StorageFault) {
            failures += 1
            guard fault.isTransient, !stop.isRaised, failures < rules.tries else { throw fault }
            stop.pause(rules.pause * (1 << (failures - 1)))
        }
        while true {
            let progress: Progress
            do throws(StorageFault) {
                progress =
                    isKnown
                    ? try put(copy, from: kept, to: address, stop)
                    : try ask(address, of: copy.byteCount, stop)
            } catch {
                isKnown = false
                try wait(after: error)
                continue
            }
            switch progress {
            case .done: return
            case .lost:
                throw StorageFault("\(name): Google has lost the upload", isTransient: true)
            case .kept(let count):
                // What was kept once stays so; it may be less than what was sent.
                guard count >= kept, count < copy.byteCount else {
                    throw StorageFault(
                        "\(name): of \(copy.byteCount) bytes \(kept) were kept, and now \(count)")
                }
                if count > kept {
                    failures = 0
                } else if isKnown {
                    try wait(
                        after: StorageFault(
                            "\(name): nothing of a part was kept", isTransient: true))
                }
                kept = count
                isKnown = true
            }
        }
    }

    // MARK: Requests

    /// - Returns: the upload's address. Who knows it may go on with the upload, so it is no word for logs.
    private func begin(
        _ description: JSONValue, _ size: Int64, _ stop: StopFlag
    ) throws(StorageFault) -> String {
        var exchange = try exchange("POST", "/upload\(bucket)?uploadType=resumable", stop: stop)
        exchange.headers += [
            ("content-type", "application/json; charset=UTF-8"),
            ("x-upload-content-type", "application/octet-stream"),
            ("x-upload-content-length", String(size)),
        ]
        exchange.body = .bytes(Array(description.text().utf8))
        let answer = try exchange.run(name, stop)
        guard answer.isGood else { throw fault("the begin of an upload in parts", answer) }
        guard let address = answer.header("location"), isFit(address) else {
            throw StorageFault("\(name): an upload in parts was begun, and no address came for it")
        }
        return address
    }

    /// The copy must not go in the clear where the bucket is not asked so.
    private func isFit(_ address: String) -> Bool {
        let address = address.lowercased()
        return address.hasPrefix("https://")
            || !settings.endpoint.isTLS && address.hasPrefix("http://")
    }

    private func put(
        _ copy: UploadFile, from offset: Int64, to address: String, _ stop: StopFlag
    ) throws(StorageFault) -> Progress {
        let end = min(offset + max(rules.partBytes / Self.unit, 1) * Self.unit, copy.byteCount)
        var exchange = request("PUT", address)
        exchange.headers.append(
            ("content-range", "bytes \(offset)-\(end - 1)/\(copy.byteCount)"))
        exchange.body = .part(copy, offset..<end)
        exchange.timeout = nil
        return try progress(try exchange.run(name, stop), "a part")
    }

    /// How far it is, after something failed.
    private func ask(
        _ address: String, of size: Int64, _ stop: StopFlag
    ) throws(StorageFault) -> Progress {
        var exchange = request("PUT", address)
        exchange.headers.append(("content-range", "bytes */\(size)"))
        return try progress(try exchange.run(name, stop), "how far an upload is")
    }

    private func progress(
        _ answer: StorageExchange.Answer, _ what: String
    ) throws(StorageFault) -> Progress {
        switch answer.status {
        case 200, 201: return .done
        case 308:
            // Without the field it has nothing yet.
            guard let range = answer.header("range") else { return .kept(0) }
            guard range.hasPrefix("bytes=0-"), let last = Int64(range.dropFirst(8)), last >= 0,
                last < Int64.max
            else {
                throw StorageFault(
                    "\(name): \(what) was answered with the range \(AnswerText.printable(range))")
            }
            return .kept(last + 1)
        case 404, 410: return .lost
        default: throw fault(what, answer)
        }
    }

    /// The node may be about to stop, so it is tried once, in short time.
    private func cancel(_ address: String) {
        var exchange = request("DELETE", address)
        exchange.timeout = rules.abortTime
        // Google forgets it by itself otherwise.
        _ = try? exchange.run(name, StopFlag())
    }

    /// The address says which upload it is and that one may go on with it: no token belongs there.
    private func request(_ method: String, _ address: String) -> StorageExchange {
        var exchange = StorageExchange(
            method: method, url: address, isLocal: settings.endpoint.isLoopback, headers: [])
        exchange.body = .bytes([])
        return exchange
    }
}
