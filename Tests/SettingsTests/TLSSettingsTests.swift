import Testing

@testable import Settings

/// Which flags of TLS go together.
@Suite struct TLSSettingsTests {
    private let node = ["-node-cert=c", "-node-key=k"]
    private let http = ["-http-cert=c", "-http-key=k"]

    private func refusal(_ arguments: [String]) -> String? {
        guard
            case .failure(let text, exitCode: 1) = Invocation.parse(
                arguments + ["data"], workingDirectory: "/work")
        else { return nil }
        return text
    }

    @Test func `A check of what nobody has to show ends the start`() {
        for (flag, needed) in [
            ("-node-verify-common-name=x", "-node-verify-client"),
            ("-node-verify-id", "-node-verify-client"),
        ] {
            #expect(refusal([flag])?.contains("needs -node-cert and -node-key") == true)
            #expect(refusal(node + [flag])?.contains("requires \(needed)") == true)
            #expect(refusal(node + [flag, needed]) == nil)
        }
        let flag = "-http-verify-common-name=x"
        #expect(refusal([flag])?.contains("needs -http-cert and -http-key") == true)
        #expect(refusal(http + [flag])?.contains("requires -http-verify-client") == true)
        #expect(refusal(http + [flag, "-http-verify-client"]) == nil)
        #expect(
            refusal(node + ["-node-verify-id", "-node-verify-client", "-node-no-verify"])?
                .contains("exclude each other") == true)
    }
}
