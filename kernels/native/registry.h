// The forms that this library has, by name: "LSTM<Tanh, Sigmoid>". Each unit made from cells.cpp adds its own
// when the library is loaded.
#pragma once
#include <map>
#include <string>

#include "cell.h"

// It is never destroyed: threads may still be at work when the process ends.
template <class Real> std::map<std::string, Cell<Real>>& registry() {
    static auto& forms = *new std::map<std::string, Cell<Real>>;
    return forms;
}
