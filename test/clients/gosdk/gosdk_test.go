// Package gosdk runs ../cases.json with aws-sdk-go-v2 against the server at
// KEYWRIGHT_TEST_ENDPOINT; without that variable it is skipped. The form of
// the cases is described in ../README.md. Credentials, Region and CA come from
// the environment, as for any program that uses the SDK.
//
// It holds no tests of the server's inside: those stand beside its packages.
package gosdk_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// document is cases.json.
type document struct {
	Setup []step
	Cases []struct {
		Name  string
		Steps []step
	}
}

type step struct {
	Call   string
	With   map[string]any
	Times  int
	All    string // the list member to collect over all pages
	Result map[string]any
	Error  *struct {
		Code    string
		Message any // nil: not compared
	}
	Save map[string]string
}

// errUnknown marks a case that this version of the SDK cannot express.
var errUnknown = errors.New("unknown to this SDK")

var requestID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

func TestCases(t *testing.T) {
	endpoint := os.Getenv("KEYWRIGHT_TEST_ENDPOINT")
	if endpoint == "" {
		t.Skip("set KEYWRIGHT_TEST_ENDPOINT to the endpoint of a server that may be filled with test keys")
	}
	text, err := os.ReadFile("../cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc document
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Setup) == 0 || len(doc.Cases) == 0 {
		t.Fatal("cases.json holds no cases")
	}
	cfg, err := config.LoadDefaultConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client := kms.NewFromConfig(cfg, func(o *kms.Options) {
		o.BaseEndpoint = aws.String(endpoint)
		// Limits are for the server to enforce, so the client's own checks go.
		// Operations without any have nothing to remove.
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			_, _ = stack.Initialize.Remove("OperationInputValidation")
			return nil
		})
	})

	run := make([]byte, 4)
	rand.Read(run)
	shared := variables{"run": hex.EncodeToString(run), "region": cfg.Region, "elsewhere": "eu-south-2"}
	if err := runSteps(t.Context(), client, doc.Setup, shared); err != nil {
		t.Fatal(err)
	}
	for _, c := range doc.Cases {
		t.Run(c.Name, func(t *testing.T) {
			err := runSteps(t.Context(), client, c.Steps, maps.Clone(shared))
			if errors.Is(err, errUnknown) {
				t.Skip(err)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
}

func runSteps(ctx context.Context, client *kms.Client, steps []step, vars variables) error {
	for _, s := range steps {
		for n := range max(s.Times, 1) {
			vars["n"] = fmt.Sprint(n + 1)
			if err := s.run(ctx, client, vars); err != nil {
				return fmt.Errorf("%s: %w", s.Call, err)
			}
		}
	}
	return nil
}

func (s step) run(ctx context.Context, client *kms.Client, vars variables) error {
	params := map[string]any{}
	for name, value := range s.With {
		params[name] = vars.evaluate(value)
	}
	result, apiErr, err := call(ctx, client, s.Call, params)
	if err != nil {
		return err
	}
	if s.All != "" && apiErr == nil {
		collected, _ := result[s.All].([]any)
		for apiErr == nil && result["Truncated"] == true {
			params["Marker"] = result["NextMarker"]
			if result, apiErr, err = call(ctx, client, s.Call, params); err != nil {
				return err
			}
			page, _ := result[s.All].([]any)
			collected = append(collected, page...)
		}
		if apiErr == nil {
			result[s.All] = collected
		}
	}
	if s.Error == nil {
		if apiErr != nil {
			return apiErr
		}
		if err := vars.check(s.Result, result, "result"); err != nil {
			return err
		}
		for name, path := range s.Save {
			found := find(result, path)
			if found == nil {
				return fmt.Errorf("the result has no %s", path)
			}
			vars[name] = found
		}
		return nil
	}
	if apiErr == nil {
		return fmt.Errorf("succeeded, want %s", s.Error.Code)
	}
	if apiErr.ErrorCode() != s.Error.Code {
		return fmt.Errorf("%w; want %s", apiErr, s.Error.Code)
	}
	if s.Error.Message == nil {
		return nil
	}
	message := apiErr.ErrorMessage()
	if message == "UnknownError" { // how the SDK shows an unmodelled error without message
		message = ""
	}
	return vars.check(s.Error.Message, message, s.Error.Code)
}

// call sends one operation by name and checks what every answer must carry.
// The API's own errors come back as smithy.APIError, all others as error.
func call(ctx context.Context, client *kms.Client, operation string, params map[string]any) (map[string]any, smithy.APIError, error) {
	method := reflect.ValueOf(client).MethodByName(operation)
	if !method.IsValid() {
		return nil, nil, fmt.Errorf("operation %s: %w", operation, errUnknown)
	}
	input := reflect.New(method.Type().In(1).Elem())
	if err := fill(input.Elem(), params); err != nil {
		return nil, nil, err
	}
	out := method.Call([]reflect.Value{reflect.ValueOf(ctx), input})
	if err, _ := out[1].Interface().(error); err != nil {
		var apiErr smithy.APIError
		var response *awshttp.ResponseError
		if !errors.As(err, &apiErr) || !errors.As(err, &response) {
			return nil, nil, err
		}
		return nil, apiErr, checkMetadata(response.HTTPStatusCode(), 400, response.ServiceRequestID())
	}
	result := out[0].Elem()
	meta := result.FieldByName("ResultMetadata").Interface().(middleware.Metadata)
	id, _ := awsmiddleware.GetRequestIDMetadata(meta)
	raw, ok := awsmiddleware.GetRawResponse(meta).(*smithyhttp.Response)
	if !ok {
		return nil, nil, errors.New("the SDK kept no HTTP response")
	}
	return plain(result).(map[string]any), nil, checkMetadata(raw.StatusCode, 200, id)
}

func checkMetadata(status, want int, id string) error {
	if status != want {
		return fmt.Errorf("HTTP status %d, want %d", status, want)
	}
	if !requestID.MatchString(id) {
		return fmt.Errorf("request id %q is no UUID", id)
	}
	return nil
}
