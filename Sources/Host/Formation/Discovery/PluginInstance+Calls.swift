import PluginABI

/// The calls of the interfaces, with typed answers. A call of a role that the mode does not have
/// fails with `unsupported`.
extension PluginInstance {
    /// Called once, on any thread; it must not wait.
    package typealias Completion<Answer> = @Sendable (Result<Answer, PluginError>) -> Void

    /// Makes the instance, so that a wrong configuration shows at start. Others make it as needed.
    @discardableResult
    package func start(timeout: Duration, completion: @escaping Completion<Void>) -> PluginCall {
        submit(.start, timeout: timeout) { completion($0.map { _ in }) }
    }

    /// The addresses that the plugin finds now. Any thread may call, and none waits.
    /// - Parameter completion: gets `PluginError` after the timeout, too.
    @discardableResult
    package func resolve(
        timeout: Duration, completion: @escaping Completion<Resolution>
    ) -> PluginCall {
        let raftPort = arguments.raftPort
        return submit(.resolve, timeout: timeout) { result in
            completion(
                result.map { answer in
                    Resolution(
                        addresses: answer.results.addresses.map { $0.filled(port: raftPort) },
                        token: answer.results.token)
                })
        }
    }

    /// The record of a name as it stands. See `resolve`.
    @discardableResult
    package func read(
        _ name: String, timeout: Duration, completion: @escaping Completion<RegistryReading>
    ) -> PluginCall {
        submit(.read(name: name), timeout: timeout) { result in
            completion(
                result.map { answer in
                    RegistryReading(
                        record: answer.status == RQD_OK ? answer.results.records.first : nil,
                        token: answer.results.token)
                })
        }
    }

    /// Writes if the revision is still `expected`; nil stands for "there is no record". See
    /// `RegistryWriting` on what an answer other than success is worth.
    @discardableResult
    package func write(
        _ name: String, value: [UInt8], expected: [UInt8]?, timeout: Duration,
        completion: @escaping Completion<RegistryWriting>
    ) -> PluginCall {
        let request = PluginRequest.write(name: name, expected: expected ?? [], value: value)
        return submit(request, timeout: timeout) { result in
            completion(
                result.map { answer in
                    switch answer.status {
                    case RQD_ABSENT: .absent
                    case RQD_CONFLICT: .conflict
                    default: .written(revision: answer.results.records[0].revision)
                    }
                })
        }
    }

    /// Removes the record of a name if it still has the revision that is expected. See `resolve`.
    @discardableResult
    package func erase(
        _ name: String, expected: [UInt8], timeout: Duration,
        completion: @escaping Completion<RegistryErasure>
    ) -> PluginCall {
        precondition(!expected.isEmpty, "a record is erased only at a known revision")
        return submit(.erase(name: name, expected: expected), timeout: timeout) { result in
            completion(
                result.map { answer in
                    switch answer.status {
                    case RQD_ABSENT: .absent
                    case RQD_CONFLICT: .conflict
                    default: .erased
                    }
                })
        }
    }

    /// The records whose names begin with a prefix. See `resolve`.
    @discardableResult
    package func list(
        prefix: String, timeout: Duration, completion: @escaping Completion<[RegistryRecord]>
    ) -> PluginCall {
        submit(.list(prefix: prefix), timeout: timeout) { completion($0.map(\.results.records)) }
    }

    /// Comes back when the state may differ from the one of the token, or at the deadline. `name` is
    /// empty for resolvers. Needs an instance: some other call must have been answered before.
    @discardableResult
    package func wait(
        for name: String = "", token: [UInt8], timeout: Duration,
        completion: @escaping Completion<WatchOutcome>
    ) -> PluginCall {
        submit(.wait(name: name, token: token), timeout: timeout) { result in
            completion(
                result.map { answer in
                    answer.status == RQD_TIMEOUT
                        ? .unchanged : .changed(token: answer.results.token)
                })
        }
    }
}

extension DiscoveredAddress {
    func filled(port: UInt16) -> DiscoveredAddress {
        var address = self
        if address.port == 0 { address.port = port }
        return address
    }

    func hostAndPort(orPort port: UInt16) -> String { filled(port: port).hostAndPort }
}
