"""moto's S3, which checks who asks and what was signed, for one test.

Prints one line of JSON: its port, the bucket, and the keys of a user that may do anything. Then takes lines of
JSON and answers each: {"objects": null} lists them with size and metadata.
"""

import json
import logging
import sys

import boto3
from moto import settings
from moto.core.responses import ActionAuthenticatorMixin
from moto.server import ThreadedMotoServer

logging.getLogger("werkzeug").setLevel(logging.ERROR)
BUCKET = "backups"


def main():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"

    def client(service, key="x", secret="y"):
        return boto3.client(service, endpoint_url=url, region_name="us-east-1", aws_access_key_id=key,
                            aws_secret_access_key=secret)

    iam = client("iam")
    iam.create_user(UserName="rqlited")
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    iam.put_user_policy(UserName="rqlited", PolicyName="all", PolicyDocument=json.dumps(everything))
    pair = iam.create_access_key(UserName="rqlited")["AccessKey"]
    client("s3").create_bucket(Bucket=BUCKET)
    # From here on each request is judged.
    ActionAuthenticatorMixin.request_count = 0
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
    keys = pair["AccessKeyId"], pair["SecretAccessKey"]
    s3 = client("s3", *keys)
    print(json.dumps({"port": port, "bucket": BUCKET, "id": keys[0], "secret": keys[1]}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        answer = {}
        try:
            if "objects" in asked:
                answer = []
                for entry in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
                    head = s3.head_object(Bucket=BUCKET, Key=entry["Key"])
                    answer.append({"key": entry["Key"], "size": entry["Size"], "metadata": head["Metadata"],
                                   "encryption": head.get("ServerSideEncryption", ""),
                                   "modified": entry["LastModified"].timestamp()})
        except Exception as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)


main()
