package interop_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// standInDynamoDB stands for DynamoDB as far as key stores use it: tables with
// the keys "branch-key-id" and "type", GetItem, and TransactWriteItems of items to
// be put under the conditions that are known here. It verifies no signatures and
// keeps everything in memory; nothing of it says how DynamoDB itself behaves.
type standInDynamoDB struct {
	mu     sync.Mutex
	tables map[string]map[itemKeys]attributes
}

type itemKeys struct{ id, sort string }

// attributes are those of an item in the form of DynamoDB's JSON: a type and a
// value each.
type attributes map[string]map[string]any

func (a attributes) keys() (itemKeys, error) {
	id, ok := a["branch-key-id"]["S"].(string)
	sort, ok2 := a["type"]["S"].(string)
	if !ok || !ok2 || id == "" || sort == "" {
		return itemKeys{}, errors.New("ValidationException: one or more key values are missing")
	}
	return itemKeys{id, sort}, nil
}

// startDynamoDB starts the stand-in for the time of a test.
func startDynamoDB(t *testing.T) (*standInDynamoDB, *dynamodb.Client) {
	t.Helper()
	s := &standInDynamoDB{tables: map[string]map[itemKeys]attributes{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, dynamodb.New(dynamodb.Options{
		BaseEndpoint: &server.URL,
		Region:       region,
		Credentials:  credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
	})
}

func (s *standInDynamoDB) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	answer, err := s.serve(strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "DynamoDB_20120810."), json.NewDecoder(r.Body))
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	if err != nil {
		code, message, _ := strings.Cut(err.Error(), ": ")
		w.WriteHeader(http.StatusBadRequest)
		answer = map[string]any{"__type": "com.amazonaws.dynamodb.v20120810#" + code, "message": message}
	}
	json.NewEncoder(w).Encode(answer)
}

// serve returns an answer, or an error that begins with its code.
func (s *standInDynamoDB) serve(operation string, body *json.Decoder) (any, error) {
	switch operation {
	case "CreateTable":
		var in map[string]any
		if err := body.Decode(&in); err != nil {
			return nil, err
		}
		name := in["TableName"].(string)
		s.tables[name] = map[itemKeys]attributes{}
		return map[string]any{"TableDescription": describe(name, in)}, nil
	case "DescribeTable":
		// Key stores ask before they create a table.
		return nil, errors.New("ResourceNotFoundException: no such table")
	case "GetItem":
		var in struct {
			TableName string
			Key       attributes
		}
		if err := body.Decode(&in); err != nil {
			return nil, err
		}
		keys, err := in.Key.keys()
		if err != nil {
			return nil, err
		}
		if item, ok := s.tables[in.TableName][keys]; ok {
			return map[string]any{"Item": item}, nil
		}
		return map[string]any{}, nil
	case "TransactWriteItems":
		var in struct{ TransactItems []struct{ Put put } }
		if err := body.Decode(&in); err != nil {
			return nil, err
		}
		for _, item := range in.TransactItems {
			keys, err := item.Put.Item.keys()
			if err != nil {
				return nil, err
			}
			if ok, err := item.Put.allowed(s.tables[item.Put.TableName][keys]); err != nil {
				return nil, err
			} else if !ok {
				return nil, errors.New("TransactionCanceledException: [ConditionalCheckFailed]")
			}
		}
		for _, item := range in.TransactItems {
			keys, _ := item.Put.Item.keys()
			s.tables[item.Put.TableName][keys] = item.Put.Item
		}
		return map[string]any{}, nil
	}
	return nil, fmt.Errorf("UnknownOperationException: %s", operation)
}

// describe tells of a table what its creator said, as it is when it can be used.
func describe(name string, in map[string]any) map[string]any {
	return map[string]any{
		"TableName": name, "TableStatus": "ACTIVE",
		"TableArn":  "arn:aws:dynamodb:" + region + ":111122223333:table/" + name,
		"KeySchema": in["KeySchema"], "AttributeDefinitions": in["AttributeDefinitions"],
	}
}

type put struct {
	TableName                 string
	Item                      attributes
	ConditionExpression       string
	ExpressionAttributeNames  map[string]string
	ExpressionAttributeValues attributes
}

// allowed says whether the condition holds for an item that is there, or nil.
func (p put) allowed(old attributes) (bool, error) {
	function, operand, call := strings.Cut(strings.TrimSuffix(p.ConditionExpression, ")"), "(")
	left, right, equation := strings.Cut(p.ConditionExpression, " = ")
	_, exists := old[p.ExpressionAttributeNames[operand]]
	switch {
	case call && function == "attribute_exists":
		return exists, nil
	case call && function == "attribute_not_exists":
		return !exists, nil
	case equation:
		return old != nil && maps.Equal(old[p.ExpressionAttributeNames[left]], p.ExpressionAttributeValues[right]), nil
	}
	return false, fmt.Errorf("ValidationException: condition %q", p.ConditionExpression)
}

// change replaces an item by a changed copy until the test is over. A copy
// without attributes is none.
func (s *standInDynamoDB) change(t *testing.T, table string, keys itemKeys, change func(attributes)) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	old, ok := s.tables[table][keys]
	if !ok {
		t.Fatalf("there is no item %v", keys)
	}
	item := maps.Clone(old)
	change(item)
	if len(item) == 0 {
		delete(s.tables[table], keys)
	} else {
		s.tables[table][keys] = item
	}
	t.Cleanup(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.tables[table][keys] = old
	})
}
