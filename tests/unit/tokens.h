/* SPDX-License-Identifier: MIT */
/*
 * Tokens and keys, made once with PyJWT: exp is 1700000900, nbf 1699999990, iss https://id.example,
 * aud api and web. The private keys are gone.
 */
#ifndef BRIM_TESTS_TOKENS_H
#define BRIM_TESTS_TOKENS_H

static const char token_hs[] =
    "eyJhbGciOiJIUzI1NiIsImtpZCI6ImgiLCJ0eXAiOiJKV1QifQ.eyJzdWIiOiJ1MSIsImV4cCI6MTcwM"
    "DAwMDkwMCwibmJmIjoxNjk5OTk5OTkwLCJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJhdWQiOlsiY"
    "XBpIiwid2ViIl19.aMPx2alCqPghP_qKqK3AoXmAfY_WVa4d55zhNHuOLfI";
static const char token_rs[] =
    "eyJhbGciOiJSUzI1NiIsImtpZCI6InIiLCJ0eXAiOiJKV1QifQ.eyJzdWIiOiJ1MSIsImV4cCI6MTcwM"
    "DAwMDkwMCwibmJmIjoxNjk5OTk5OTkwLCJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJhdWQiOlsiY"
    "XBpIiwid2ViIl19.JTheat4mgcJ8BcvRMKrk6WAR-hIt73JV4xFpdbi1uUOY5tcxhLFkIiPW4Y2ptc2o"
    "b_PiaUJmle7vFwBOR4WwryWxkXNGBG8HNopLxRyiWKhAOAXwBBWvpw63U3DKUTLfNxSjQXFfXK33LJNo"
    "znvVgw7U-TGAxzfDjm6RfCZOpv5OKkGddbW7EKZm623NvdDXS4LYp_huYGplgFM3C2dCaTtPiWkItSWX"
    "PA4HlY-Yz7gVFN3YQS3E-QmJarVhEtXrCxft33qhnNrMi7mffSpjm54gEB4ZhfLh2nJk-imFn5DNFCPd"
    "VlrD-Cjo3nBTIUToq75ML79_wBmlkmeYFxfXNA";
static const char token_es[] =
    "eyJhbGciOiJFUzI1NiIsImtpZCI6ImUiLCJ0eXAiOiJKV1QifQ.eyJzdWIiOiJ1MSIsImV4cCI6MTcwM"
    "DAwMDkwMCwibmJmIjoxNjk5OTk5OTkwLCJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJhdWQiOlsiY"
    "XBpIiwid2ViIl19.H2rDKO8rkzb9eh298707_VV8zWJfl1PfuL5Qv1DZlp5U7ywkGftMYzy4mD1kJK-v"
    "HlgCAV7TQHspaM7MTMtZJw";
static const char token_es_nokid[] =
    "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ1MSIsImV4cCI6MTcwMDAwMDkwMCwibmJ"
    "mIjoxNjk5OTk5OTkwLCJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJhdWQiOlsiYXBpIiwid2ViIl1"
    "9.1BPH0upNQyXwyn6KgPeUWEUWUb7MT8-JlWpZK2NEL_Lcq5Mbp5dQ8Iwd57Rvb1lmFequX1qseaOC0W"
    "ewg5KYVA";
static const char token_crit[] =
    "eyJhbGciOiJIUzI1NiIsImNyaXQiOlsieCJdLCJ0eXAiOiJKV1QifQ.eyJzdWIiOiJ1MSIsImV4cCI6M"
    "TcwMDAwMDkwMCwibmJmIjoxNjk5OTk5OTkwLCJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJhdWQiO"
    "lsiYXBpIiwid2ViIl19.hEEMTRJNtB3DnqmBw5Z1EN9Cd-erHkiw1uZ_x3WjP-o";
static const char token_noexp[] =
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ4In0.I-cBwS2A2-OD8vZJbn4w3M2ReN_"
    "bbgzRWWAxzpq0zYg";
static const char token_badexp[] =
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJleHAiOjF9.rQO1_tutDbjyK6w--hqog6szyhQcb6"
    "ouPOlkjkdajJ4";
static const char token_none[] =
    "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJ1MSIsImV4cCI6MTcwMDAwMDkwMCwibmJm"
    "IjoxNjk5OTk5OTkwLCJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJhdWQiOlsiYXBpIiwid2ViIl19"
    ".";
static const char token_confused[] =
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiAidTEiLCAiZXhwIjogMTcwMDAwMDkwMCw"
    "gIm5iZiI6IDE2OTk5OTk5OTAsICJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlIiwgImF1ZCI6IFsiYXB"
    "pIiwgIndlYiJdfQ.bpNUIxMO_KSLxteFJG2GLvrXsEwUm6C4Bbi18Ox7TNk";
static const char token_rs_pem[] =
    "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAn2+hQ22LG"
    "R9D2bZUSI95\nBFvhy6ebekH2+hTJuwGxYVG7vBbysISzWs7HbR2suwthtfJP3fwZXLJVSClkTNP9\nlR2"
    "33XlM59dzLdJtxCPKXNOlbnvspGVpuoDq8c2eg6FCiEVeu1XBGVxlrt7tCimj\ntY2c3T0X7hx/Lt63ub"
    "M+uBjQ3E/HD3iXSrv+46V3Elg4VCXMrb1XjObRSl1YpmCW\nabnZ93NCn2fllkldT0csj8/Xvb/cdbtdW"
    "Z5gkWa1eUNRCgCkuHNCMYWnkFevTQc+\nM/EhnSgVfaKbRR7yR3rvhU6gkJGTJtnzYzRRoG9MzKsMR/o7"
    "dTd1+NY4hiEfdz75\ntwIDAQAB\n-----END PUBLIC KEY-----\n";
static const char token_es_pem[] =
    "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAENTB/U21Ezut67pAiH"
    "EvkE1EGB6eW\nGLxp1g2YswArplNq1rnAHL1+BxAqypdB6DRO2gFAhiLJ6vgN6/9wHCd9fQ==\n-----EN"
    "D PUBLIC KEY-----\n";
static const char token_jwks[] =
    "{\"keys\": [{\"kty\": \"RSA\", \"kid\": \"r\", \"use\": \"sig\", \"n\": "
    "\"n2-hQ22LGR9D2bZUSI95BFv"
    "hy6ebekH2-hTJuwGxYVG7vBbysISzWs7HbR2suwthtfJP3fwZXLJVSClkTNP9lR233XlM59dzLdJtxCP"
    "KXNOlbnvspGVpuoDq8c2eg6FCiEVeu1XBGVxlrt7tCimjtY2c3T0X7hx_Lt63ubM-uBjQ3E_HD3iXSrv"
    "-46V3Elg4VCXMrb1XjObRSl1YpmCWabnZ93NCn2fllkldT0csj8_Xvb_cdbtdWZ5gkWa1eUNRCgCkuHN"
    "CMYWnkFevTQc-M_EhnSgVfaKbRR7yR3rvhU6gkJGTJtnzYzRRoG9MzKsMR_o7dTd1-NY4hiEfdz75tw\""
    ", \"e\": \"AQAB\"}, {\"kty\": \"EC\", \"kid\": \"e\", \"alg\": \"ES256\", \"crv\": \"P-256\", "
    "\"x\": \""
    "NTB_U21Ezut67pAiHEvkE1EGB6eWGLxp1g2YswArplM\", \"y\": \"ata5wBy9fgcQKsqXQeg0TtoBQIYi"
    "yer4Dev_cBwnfX0\"}, {\"kty\": \"oct\", \"kid\": \"h\", \"k\": \"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0"
    "NTY3ODlhYmNkZWY\"}]}";

#endif
