//! What stores answer when they refuse, and what is made of it.

use lifeboat::api::Reason;

/// What is asked of the store.
#[derive(Clone, Copy)]
pub enum Asked {
    Write,
    /// A write that must not replace anything.
    Create,
    Read,
    List,
    Begin,
    Abort,
}

/// An answer, and what is made of it.
pub struct Row {
    pub asked: Asked,
    pub status: u16,
    /// S3's code; empty: the body is a web page, `-`: there is none.
    pub code: &'static str,
    pub message: &'static str,
    /// More of the error, as XML.
    pub more: &'static str,
    pub header: Option<(&'static str, &'static str)>,
    pub who: &'static str,
    pub reason: Reason,
    pub says: &'static str,
}

const ROW: Row = Row {
    asked: Asked::Write,
    status: 400,
    code: "",
    message: "",
    more: "",
    header: None,
    who: "",
    reason: Reason::StoreFailed,
    says: "",
};

pub fn rows() -> Vec<Row> {
    let region = Row {
        code: "AuthorizationHeaderMalformed",
        message: "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-1'",
        reason: Reason::InvalidSpec,
        says: "the region is wrong: set s3.region to eu-west-1 (AuthorizationHeaderMalformed: The authorization header is \
            malformed; the region 'us-east-1' is wrong; expecting 'eu-west-1')",
        ..ROW
    };
    let elsewhere = "the endpoint does not speak S3, or something stands before it";
    vec![
        Row {
            more: "<Region>eu-west-1</Region>",
            who: "AWS, Swift",
            ..region
        },
        Row {
            who: "versitygw",
            ..region
        },
        Row {
            code: "AuthorizationHeaderMalformed",
            message: "The authorization header is malformed; a non-empty Access Key must be provided",
            who: "AWS",
            reason: Reason::StoreCredentialsInvalid,
            says: "the store cannot use the credentials (AuthorizationHeaderMalformed: The authorization header is malformed; a \
                non-empty Access Key must be provided)",
            ..ROW
        },
        Row {
            status: 301,
            code: "PermanentRedirect",
            message: "The bucket you are attempting to access must be addressed using the specified endpoint.",
            header: Some(("x-amz-bucket-region", "eu-west-1")),
            who: "AWS",
            reason: Reason::InvalidSpec,
            says: "the region is wrong: set s3.region to eu-west-1 (PermanentRedirect: The bucket you are attempting to access \
                must be addressed using the specified endpoint.)",
            ..ROW
        },
        Row {
            status: 307,
            code: "TemporaryRedirect",
            message: "Please re-send this request to the specified temporary endpoint.",
            who: "AWS",
            reason: Reason::InvalidSpec,
            says: "the bucket is in another region: set s3.region (TemporaryRedirect: Please re-send this request to the \
                specified temporary endpoint.)",
            ..ROW
        },
        Row {
            status: 307,
            code: "-",
            header: Some(("location", "https://user:pass@login.example/in?token=1")),
            who: "a login page, a proxy",
            says: "HTTP 307 to https://login.example without a code of S3 (no type): the endpoint does not speak S3, or something \
                stands before it",
            ..ROW
        },
        Row {
            status: 302,
            header: Some(("location", "https://login.example/")),
            who: "a login page, a proxy",
            says: "HTTP 302 to https://login.example without a code of S3 (text/html): the endpoint does not speak S3, or \
                something stands before it",
            ..ROW
        },
        Row {
            asked: Asked::Read,
            status: 404,
            who: "a web server",
            says: "HTTP 404 without a code of S3 (text/html): the endpoint does not speak S3, or something stands before it",
            ..ROW
        },
        Row {
            asked: Asked::List,
            status: 200,
            who: "a login page, a web server for pages of one site",
            says: "HTTP 200 without a code of S3 (text/html): the endpoint does not speak S3, or something stands before it",
            ..ROW
        },
        Row {
            asked: Asked::Begin,
            status: 200,
            who: "a login page, a web server for pages of one site",
            says: "HTTP 200 without a code of S3 (text/html): the endpoint does not speak S3, or something stands before it",
            ..ROW
        },
        Row {
            status: 403,
            who: "a firewall for web applications, a proxy",
            says: "HTTP 403 without a code of S3 (text/html): the endpoint does not speak S3, or something stands before it",
            ..ROW
        },
        Row {
            status: 404,
            code: "NoSuchBucket",
            message: "The specified bucket does not exist",
            who: "all",
            reason: Reason::BucketNotFound,
            says: "there is no bucket shop",
            ..ROW
        },
        Row {
            code: "InvalidBucketName",
            message: "The specified bucket is not valid.",
            who: "AWS, MinIO",
            reason: Reason::InvalidSpec,
            says: "the store takes no bucket of the name shop (InvalidBucketName: The specified bucket is not valid.)",
            ..ROW
        },
        Row {
            status: 403,
            code: "InvalidAccessKeyId",
            message: "The access key ID you provided does not exist in our records.",
            who: "all",
            reason: Reason::StoreCredentialsInvalid,
            says: "the store does not know the access key (InvalidAccessKeyId: The access key ID you provided does not exist in \
                our records.)",
            ..ROW
        },
        Row {
            status: 404,
            code: "XAdminUserNotFound",
            message: "No user exists with the provided access key ID.",
            who: "versitygw",
            reason: Reason::StoreCredentialsInvalid,
            says: "the store does not know the access key (XAdminUserNotFound: No user exists with the provided access key ID.)",
            ..ROW
        },
        Row {
            status: 403,
            code: "SignatureDoesNotMatch",
            message: "Check your key and signing method.",
            who: "all",
            reason: Reason::StoreCredentialsInvalid,
            says: "the secret access key does not belong to the access key, or the request was changed on its way \
                (SignatureDoesNotMatch: Check your key and signing method.)",
            ..ROW
        },
        Row {
            code: "ExpiredToken",
            message: "The provided token has expired.",
            who: "AWS",
            reason: Reason::StoreCredentialsInvalid,
            says: "the session token has expired (ExpiredToken: The provided token has expired.)",
            ..ROW
        },
        Row {
            status: 403,
            code: "RequestTimeTooSkewed",
            message: "The difference between the request time and the current time is too large.",
            who: "all",
            says: "the clocks of store and worker differ by more than 15 minutes",
            ..ROW
        },
        Row {
            status: 403,
            code: "AccessDenied",
            message: "Access Denied.",
            who: "all",
            reason: Reason::StoreAccessDenied,
            says: "the store denies it to this access key (AccessDenied: Access Denied.)",
            ..ROW
        },
        Row {
            asked: Asked::Read,
            status: 403,
            code: "InvalidObjectState",
            message: "The operation is not valid for the object's storage class",
            who: "AWS",
            says: "the object lies in an archive class: restore it in the store first (InvalidObjectState: The operation is not \
                valid for the object's storage class)",
            ..ROW
        },
        Row {
            status: 507,
            code: "XMinioStorageFull",
            message: "Storage backend has reached its minimum free drive threshold.",
            who: "MinIO",
            reason: Reason::StoreFull,
            says: "the store is full (XMinioStorageFull: Storage backend has reached its minimum free drive threshold.)",
            ..ROW
        },
        Row {
            code: "XMinioAdminBucketQuotaExceeded",
            message: "Bucket quota exceeded",
            who: "MinIO",
            reason: Reason::StoreFull,
            says: "the store is full (XMinioAdminBucketQuotaExceeded: Bucket quota exceeded)",
            ..ROW
        },
        Row {
            status: 403,
            code: "QuotaExceeded",
            who: "Ceph",
            reason: Reason::StoreFull,
            says: "the store is full (QuotaExceeded)",
            ..ROW
        },
        Row {
            status: 500,
            code: "InternalError",
            message: "write: no space left on device",
            who: "stores on a disk",
            reason: Reason::StoreFull,
            says: "the store is full (InternalError: write: no space left on device)",
            ..ROW
        },
        Row {
            asked: Asked::Create,
            status: 412,
            code: "PreconditionFailed",
            message: "At least one of the pre-conditions you specified did not hold",
            who: "all",
            reason: Reason::AlreadyExists,
            says: "the key is taken",
            ..ROW
        },
        Row {
            asked: Asked::Create,
            status: 409,
            code: "ConditionalRequestConflict",
            message: "A conflicting operation occurred",
            who: "AWS",
            reason: Reason::AlreadyExists,
            says: "the key is being written by another",
            ..ROW
        },
        Row {
            asked: Asked::Create,
            code: "InvalidArgument",
            message: "If-None-Match is not supported",
            who: "older stores",
            reason: Reason::NotSupportedByStore,
            says: "the store does not take If-None-Match (InvalidArgument: If-None-Match is not supported)",
            ..ROW
        },
        Row {
            asked: Asked::Create,
            status: 501,
            code: "NotImplemented",
            message: "A header you provided implies functionality that is not implemented",
            who: "older stores",
            reason: Reason::NotSupportedByStore,
            says: "the store does not take If-None-Match (NotImplemented: A header you provided implies functionality that is not \
                implemented)",
            ..ROW
        },
        Row {
            status: 501,
            code: "NotImplemented",
            message: "not implemented",
            who: "",
            reason: Reason::NotSupportedByStore,
            says: "the store does not support this (NotImplemented: not implemented)",
            ..ROW
        },
        Row {
            asked: Asked::Abort,
            status: 405,
            code: "MethodNotAllowed",
            message: "The specified method is not allowed against this resource.",
            who: "s3rver",
            reason: Reason::NotSupportedByStore,
            says: "the store does not support this (MethodNotAllowed: The specified method is not allowed against this resource.)",
            ..ROW
        },
        Row {
            status: 503,
            code: "SlowDown",
            message: "Please reduce your request rate.",
            who: "all, and tried again for up to 190 s",
            says: "SlowDown: Please reduce your request rate.",
            ..ROW
        },
        Row {
            status: 503,
            who: "a proxy without a store behind it, and tried again for up to 190 s",
            says: "HTTP 503 without a code of S3 (text/html): the endpoint does not speak S3, or something stands before it",
            ..ROW
        },
    ]
    .into_iter()
    .inspect(|row| assert!(row.code != "-" || row.says.ends_with(elsewhere)))
    .collect()
}
