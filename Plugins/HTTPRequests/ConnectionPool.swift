import CCurl
import Glibc
import PluginABI
import PluginSupport

/// A multi handle of libcurl, which keeps connections and names, and runs one transfer at a time.
///
/// Unchecked, for libcurl lets any thread use a handle, one at a time: `HTTPClient` keeps it behind a
/// lock.
struct ConnectionPool: ~Copyable, @unchecked Sendable {
    /// Several servers, and one more for requests that must not be repeated.
    private static let maxConnections = 8

    /// libcurl wants to be initialised once per process, before its first use.
    private static let library = curl_global_init(Int(CURL_GLOBAL_DEFAULT))

    private let multi: UnsafeMutableRawPointer

    init() throws(CallFailure) {
        guard Self.library == CURLE_OK else {
            throw CallFailure(RQD_INTERNAL, "libcurl can't start: \(CurlText.of(Self.library))")
        }
        let before = OpenDescriptors.all()
        guard let multi = curl_multi_init() else {
            throw CallFailure(RQD_INTERNAL, "libcurl can't start: no memory or no descriptors")
        }
        // It makes a pair of sockets to wake itself, which a program that is run would inherit.
        OpenDescriptors.closeOnExec(OpenDescriptors.all().subtracting(before))
        ccurl_multi_set_long(multi, CURLMOPT_MAXCONNECTS, Self.maxConnections)
        self.multi = multi
    }

    deinit { curl_multi_cleanup(multi) }

    /// Returns the whole answer, or what was streamed of it was enough.
    func run(_ transfer: Transfer, _ call: Call) throws(TransferFailure) -> HTTPAnswer {
        do throws(Call.Interruption) {
            var none: [pollfd] = []
            try call.poll(&none, milliseconds: 0)
        } catch {
            throw transfer.failure(error)
        }
        guard curl_multi_add_handle(multi, transfer.easy) == CURLM_OK else {
            throw TransferFailure(RQD_INTERNAL, "libcurl refuses the transfer")
        }
        // Ends it where it stands, and closes its connection if it is not over.
        defer { curl_multi_remove_handle(multi, transfer.easy) }
        while true {
            var running: CInt = 0
            let status = curl_multi_perform(multi, &running)
            guard status == CURLM_OK else {
                throw transfer.failure(RQD_INTERNAL, String(cString: curl_multi_strerror(status)))
            }
            if let result = finished() { return try transfer.answer(result) }
            let now = Call.now
            guard now < call.deadline else { throw transfer.failure(.deadline) }
            let rest = Int32(clamping: (call.deadline - now + 999_999) / 1_000_000)
            var cancel = curl_waitfd(
                fd: call.cancelDescriptor, events: Int16(CURL_WAIT_POLLIN), revents: 0)
            let count: CUnsignedInt = call.cancelDescriptor < 0 ? 0 : 1
            // It also minds libcurl's own timers.
            curl_multi_poll(multi, &cancel, count, rest, nil)
            if cancel.revents != 0 { throw transfer.failure(.cancelled) }
        }
    }

    private func finished() -> CURLcode? {
        var waiting: CInt = 0
        while let message = curl_multi_info_read(multi, &waiting) {
            if message.pointee.msg == CURLMSG_DONE { return ccurl_result(message) }
        }
        return nil
    }
}

enum CurlText {
    static func of(_ code: CURLcode) -> String { String(cString: curl_easy_strerror(code)) }
}
