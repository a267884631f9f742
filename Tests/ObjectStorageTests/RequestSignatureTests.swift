import Notation
import Testing

@testable import ObjectStorage

/// AWS publishes requests with what their signatures are: the examples of S3's documentation, and of the
/// test suite for version 4.
struct RequestSignatureTests {
    private static let documented = AWSCredentials(
        id: "AKIAIOSFODNN7EXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", token: nil)
    private static let suite = AWSCredentials(
        id: "AKIDEXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token: nil)
    private static let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    private func bucket(
        _ method: String, _ path: String, query: [(name: String, value: String)] = [],
        headers: [(name: String, value: String)] = [], payload: String = Self.empty
    ) -> RequestSignature {
        RequestSignature(
            method: method, path: path, query: query,
            headers: headers + [
                ("host", "examplebucket.s3.amazonaws.com"), ("x-amz-date", "20130524T000000Z"),
                ("x-amz-content-sha256", payload),
            ], payload: payload, time: "20130524T000000Z", region: "us-east-1")
    }

    private func suite(_ method: String) -> RequestSignature {
        RequestSignature(
            method: method, path: "/",
            headers: [("Host", "example.amazonaws.com"), ("X-Amz-Date", "20150830T123600Z")],
            payload: Self.empty, time: "20150830T123600Z", region: "us-east-1", service: "service")
    }

    @Test func `S3's documented request for a part of an object is signed as documented`() throws {
        let text = try bucket("GET", "/test.txt", headers: [("Range", "bytes=0-9")])
            .authorization(Self.documented)
        #expect(
            text == "AWS4-HMAC-SHA256 "
                + "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
                + "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, Signature="
                + "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")
    }

    @Test func `S3's documented upload is signed as documented, and its body is hashed`() throws {
        let payload = try ContentDigest.hex(of: "Welcome to Amazon S3.".utf8)
        let path = "/" + PercentEncoding.encode("test$file.text", keepingSlashes: true)
        let text = try bucket(
            "PUT", path,
            headers: [
                ("date", "Fri, 24 May 2013 00:00:00 GMT"),
                ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ], payload: payload
        ).authorization(Self.documented)
        #expect(
            text.hasSuffix("98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"))
    }

    @Test func `S3's documented queries are signed as documented`() throws {
        let lifecycle = bucket("GET", "/", query: [("lifecycle", "")])
        #expect(
            try lifecycle.authorization(Self.documented).hasSuffix(
                "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"))
        let list = bucket("GET", "/", query: [("prefix", "J"), ("max-keys", "2")])
        #expect(
            try list.authorization(Self.documented).hasSuffix(
                "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"))
    }

    @Test func `The suite's plain requests are signed as published`() throws {
        #expect(
            try suite("GET").authorization(Self.suite).hasSuffix(
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"))
        #expect(
            try suite("POST").authorization(Self.suite).hasSuffix(
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"))
    }

    @Test func `The key follows from secret, day, region and service as published`() throws {
        var signature = suite("GET")
        signature.service = "iam"
        #expect(
            HexText.of(try signature.signingKey(Self.suite.secret))
                == "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9")
    }
}
