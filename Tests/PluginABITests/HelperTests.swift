import Foundation
import Testing

/// `rqdisco_helper.h`, which plugins in C begin with.
@Suite struct HelperTests {
    /// Looks up a name for ever: what takes this long hangs, and is ended.
    private static let program = """
        #define _GNU_SOURCE
        #define RQDISCO_CURL
        #include "rqdisco_helper.h"
        #include <netdb.h>
        #include <unistd.h>

        int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                        struct addrinfo **found) {
            (void)name, (void)service, (void)hints, (void)found;
            for (;;) pause();
        }

        static rqd_code take(const rqd_sink *sink, rqd_text message) {
            (void)sink, (void)message;
            return RQD_OK;
        }

        int main(void) {
            struct rqdisco_document document;
            rqd_call call;
            rqd_sink sink;
            rqd_code code;
            CURL *easy = curl_easy_init();
            alarm(60);
            memset(&call, 0, sizeof call);
            memset(&sink, 0, sizeof sink);
            call.cancel_fd = -1;
            call.deadline_ns = rqdisco_now() + 100000000u;
            sink.message = take;
            curl_easy_setopt(easy, CURLOPT_URL, "http://rqlite.invalid/");
            curl_easy_setopt(easy, CURLOPT_PROXY, "");
            code = rqdisco_get(&call, &sink, easy, 1024, &document);
            curl_easy_cleanup(easy);
            free(document.bytes);
            return code == RQD_TIMEOUT ? 0 : 100 + code;
        }
        """

    private func run(_ command: [String]) throws -> (said: String, status: Int32) {
        let process = Process()
        let output = Pipe()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = command
        process.standardError = output
        try process.run()
        let text = String(
            decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (text, process.terminationStatus)
    }

    @Test func `A document is given up at the deadline, though its server's name is looked up`()
        throws
    {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let scratch = FileManager.default.temporaryDirectory
            .appending(path: "rqd-helper-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: scratch, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: scratch) }
        let source = scratch.appending(path: "get.c").path
        let program = scratch.appending(path: "get").path
        try Self.program.write(toFile: source, atomically: false, encoding: .utf8)
        let built = try run([
            "cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-rdynamic",
            "-I\(root.appending(path: "Sources/PluginABI/include").path)",
            "-I\(root.appending(path: "Examples/new").path)", "-o", program, source, "-lcurl",
        ])
        try #require(built.status == 0, "\(built.said)")
        let (said, status) = try run([program])
        #expect(status == 0, "\(said)")
    }
}
